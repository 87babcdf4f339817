"""Made-up ratings, the same on every machine; ``python synthetic.py FOLDER`` writes them.

Groups are of unequal size, ratings are full of ties, participants differ in level, some
explanations are rated twice; ``gaps`` has missing ratings and three conditions.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

COLUMNS = (
    *("CASE", "rationale", "Completeness", "Contrastiveness", "Plausibility", "Satisfaction"),
    *("Understandability", "rationale_id", "model", "rationale_length", "gender", "age", "country"),
    *("education", "employement"),
)
CONDITIONS = (
    "MT+CF:RevRationales",
    "CF:PosRationales",
    "MT:PosRationales",
    "MT+CF:PosRationales",
)
SHIFT = dict(zip(CONDITIONS, (0.7, 0.0, 0.3, 0.2), strict=True))
CONSTRUCT_COLUMNS = COLUMNS[2:7]

Row = dict[str, str]


def normal(rng: random.Random) -> float:
    """Return a roughly normal number from uniform ones, whose stream Python never changes."""
    return sum(rng.random() for _ in range(12)) - 6


def ratings(
    seed: int = 1,
    participants: int = 26,
    each: Sequence[int] = (3, 2, 3, 2),
    conditions: Sequence[str] = CONDITIONS,
    missing: float = 0.0,
    effect: float = 1.0,
    spread: float = 0.4,
    odd: float = 0.05,
) -> list[Row]:
    """Return rows as the paper's file has them.

    Args:
        seed: Seed.
        participants: How many there are.
        each: Explanations of each condition that each participant rates.
        conditions: The labels.
        missing: Share of ratings that are missing.
        effect: How much of the conditions' differences there is.
        spread: Standard deviation of participants' levels.
        odd: Share of rows that are rated far lower.
    """
    rng = random.Random(seed)
    rows = []
    for number in range(participants):
        level = 3.4 + spread * normal(rng)
        person = {
            "CASE": f"p{number + 1}",
            "gender": ("female", "male", "diverse")[int(rng.random() * 2.2)],
            "age": ("18-24", "25-34", "35-44")[int(rng.random() * 3)],
            "country": ("Spain", "United Kingdom", "Germany")[int(rng.random() * 3)],
            "education": ("school", "Bachelor")[int(rng.random() * 2)],
            "employement": ("employed", "student")[int(rng.random() * 2)],
        }
        for condition, count in zip(conditions, each, strict=True):
            for place in range(count - (number % 3 == 0 and place_drops(condition))):
                item = (number * 3 + place) % 20
                told = level + effect * SHIFT.get(condition, 0.0) + 0.3 * normal(rng)
                told -= 2.5 * (rng.random() < odd)
                row = {
                    **person,
                    "rationale": f"Reason {item} of {condition}.",
                    "rationale_id": str(item),
                    "model": condition,
                    "rationale_length": str(15 + int(40 * rng.random())),
                }
                for construct in CONSTRUCT_COLUMNS:
                    value = round(told + 0.8 * normal(rng))
                    gone = rng.random() < missing
                    row[construct] = "" if gone else str(min(5, max(1, value)))
                rows.append(row)
    return rows


def place_drops(condition: str) -> int:
    """Return 1 for conditions of which some participants rate one explanation less."""
    return int(condition.startswith("MT:"))


def write(path: Path, rows: Iterable[Row], columns: Sequence[str] = COLUMNS) -> Path:
    """Write rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_all(folder: Path) -> tuple[Path, Path]:
    """Write the two tables that R was given: ``study.csv`` and ``gaps.csv``."""
    study = write(folder / "study.csv", ratings())
    gaps = ratings(7, 13, (2, 4, 3), CONDITIONS[:3], missing=0.06)
    return study, write(folder / "gaps.csv", gaps)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
