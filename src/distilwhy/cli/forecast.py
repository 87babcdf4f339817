"""How a forecast is shown: a table by step, how its figures came about, some prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distilwhy.cli.shared import plain, show

if TYPE_CHECKING:
    from distilwhy.config import Budget
    from distilwhy.teaching.forecast import Forecast, StepForecast

HEADER = ("step", "texts", "stored", "prompt tokens", "text tokens", "at most", "cost", "at most")


def show_forecast(forecast: Forecast, budget: Budget, as_json: bool) -> None:
    """Print a forecast.

    Args:
        forecast: The forecast.
        budget: The budget, which it is compared with.
        as_json: Whether JSON is wanted.
    """
    show(content(forecast), as_json, table(forecast, budget))


def content(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON holds it."""
    return {
        **forecast.model_dump(mode="json"),
        "total": forecast.total.model_dump(mode="json"),
    }


def table(forecast: Forecast, budget: Budget) -> str:
    """Return a forecast as it is shown on a terminal, with what is untrusted made harmless.

    Args:
        forecast: The forecast.
        budget: The budget, which it is compared with.
    """
    sampled, examples = forecast.sampled, forecast.examples
    part = "all of them" if sampled == examples else f"from a sample of {sampled:,}"
    rows: list[tuple[str, ...]] = [(*HEADER, "time")]
    rows += [_row(step, figures) for step, figures in forecast.steps.items()]
    rows.append(_row("all", forecast.total))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"Dry run: {examples:,} examples, {part}; nothing is stored.", ""]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip())
    lines += ["", *forecast.notes, *_against(forecast, budget)]
    for number, shown in enumerate(forecast.prompts, 1):
        lines += ["", f"--- prompt {number} of {len(forecast.prompts)}: {plain(shown.step)} ---"]
        lines.append(plain(shown.prompt))
    return "\n".join(lines)


def _row(step: str, figures: StepForecast) -> tuple[str, ...]:
    numbers = (
        figures.texts,
        figures.stored,
        figures.prompt_tokens,
        figures.text_tokens,
        figures.most_text_tokens,
    )
    return (
        plain(step),
        *(f"{number:,}" for number in numbers),
        _money(figures.usd),
        _money(figures.most_usd),
        _time(figures.seconds),
    )


def _against(forecast: Forecast, budget: Budget) -> list[str]:
    """Say what was spent already, and which settings of the budget will not be enough."""
    total = forecast.total
    lines = []
    if forecast.spent_tokens:
        usd = forecast.spent_usd
        money = "" if usd is None else f" ({_money(usd)})"
        lines.append(f"Spent on this store so far: {forecast.spent_tokens:,} tokens{money}.")
    tokens = forecast.spent_tokens + total.prompt_tokens + total.text_tokens
    hours = None if total.seconds is None else forecast.spent_hours + total.seconds / 3600
    usd = None if total.usd is None else (forecast.spent_usd or 0.0) + total.usd
    needs = {"usd": usd, "tokens": tokens, "hours": hours}
    for setting, needed in needs.items():
        limit = getattr(budget, setting)
        if limit is not None and needed is not None and needed > limit:
            lines.append(f"The budget of {limit:g} {setting} will not be enough: {needed:.4g}.")
    return lines


def _money(usd: float | None) -> str:
    if usd is None:
        return "-"
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.2g}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
