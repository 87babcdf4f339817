from __future__ import annotations

import re
from importlib.resources import files

import pytest


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_colours_reach_contrast_aa(scheme: int) -> None:
    css = (files("distilwhy.report") / "templates" / "report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[scheme]))
    text_pairs = [
        (name, ground)
        for name in ("ink", "soft", "link", "right", "wrong")
        for ground in ("paper", "panel")
    ]
    line_pairs = [(f"series-{number}", "paper") for number in range(1, 6)]
    for pairs, least in (([*text_pairs, ("mark-ink", "mark")], 4.5), (line_pairs, 3.0)):
        for name, ground in pairs:
            high, low = sorted((luminance(colours[name]), luminance(colours[ground])))[::-1]
            assert (high + 0.05) / (low + 0.05) >= least, (name, ground)
