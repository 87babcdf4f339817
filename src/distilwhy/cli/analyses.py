"""Results of an analysis: checked for a place to go, written to a file, printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

import typer

from distilwhy.cli.shared import plain, show

Form = Literal["text", "latex"]
FormOption = Annotated[Form, typer.Option("--format", help="How tables are printed.")]
ResultsFile = Annotated[
    Path | None,
    typer.Option(help="Also write the results to this file: .json, .tex or .txt."),
]
FORMATS = {".json": "json", ".tex": "latex", ".txt": "text"}


class Analysis(Protocol):
    """What an analysis found."""

    def figures(self) -> dict[str, Any]:
        """Return every number, as JSON takes it."""
        ...


AnalysisT = TypeVar("AnalysisT", bound=Analysis)


def check_results_file(out: Path | None, *inputs: Path) -> None:
    """Refuse a file for results that could not be written, before anything is computed.

    Args:
        out: The file, if one is wanted.
        inputs: Files that the results come from.

    Raises:
        ConfigError: When its ending names no format.
        DataError: When it cannot be written.
    """
    from distilwhy.errors import ConfigError
    from distilwhy.outputs import check_output_file

    if out is None:
        return
    if out.suffix not in FORMATS:
        raise ConfigError(
            f"--out {out} has no ending that names a format.", f"Use {', '.join(FORMATS)}."
        )
    check_output_file(out, *inputs)


def tell(
    result: AnalysisT,
    render: Callable[[AnalysisT, Form], str],
    *,
    form: Form,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write an analysis to its file, if one is wanted, and print it.

    Args:
        result: The analysis.
        render: Returns it as tables.
        form: How tables are printed.
        out: The file, as :func:`check_results_file` let it pass.
        as_json: Whether JSON is printed.
    """
    from distilwhy.files import atomic_text, write_json

    if out is not None and FORMATS[out.suffix] == "json":
        write_json(out, result.figures())
    elif out is not None:
        with atomic_text(out) as stream:
            stream.write(render(result, "latex" if out.suffix == ".tex" else "text") + "\n")
    text = "" if as_json else plain(render(result, form))
    show(result.figures() if as_json else {}, as_json, text)
