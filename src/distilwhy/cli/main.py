"""The command line: ``distilwhy COMMAND``. Commands load what they need when they run."""

from __future__ import annotations

import errno
import sys
from io import TextIOWrapper
from typing import NoReturn

import typer

from distilwhy import __version__
from distilwhy.cli import (
    compare,
    demo,
    evaluate,
    generate,
    grow,
    import_,
    judge,
    predict,
    report,
    run,
    study,
    sweep,
    train,
)
from distilwhy.cli.stopping import going_on
from distilwhy.errors import ConfigError, StageError, StoppedError, UserError
from distilwhy.ranks import tells, world_size

MENDABLE = (errno.ENAMETOOLONG, errno.EACCES, errno.EROFS, errno.ENOSPC)

app = typer.Typer(
    help="Shrink a language model and keep its reasons.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("grow")(grow.grow)
app.command("generate")(generate.generate)
app.command("import")(import_.import_)
app.command("sweep")(sweep.sweep)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("judge")(judge.judge)
app.command("report")(report.report)
app.add_typer(study.study, name="study")


def _version(value: bool) -> None:
    if value:
        print(f"distilwhy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Shrink a language model and keep its reasons."""
    if world_size() > 1 and context.invoked_subcommand not in (None, "train"):
        raise ConfigError(
            f"'distilwhy {context.invoked_subcommand}' was started in {world_size()} processes, "
            "but only 'distilwhy train' works in several.",
            "Start it without torchrun or accelerate launch.",
        )


def main() -> None:
    """Run the command line; exit codes are 0 (ok), 1 (failed or not finished) and 2 (misuse)."""
    if isinstance(sys.stdout, TextIOWrapper):
        # File names may hold what the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        if _interrupted(end):
            _stopped()
        raise
    except (UserError, StageError, StoppedError) as error:
        _tell(error)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if _interrupted(error):
            _stopped()
        if isinstance(error, OSError) and error.errno in MENDABLE:
            _fail(
                f"{error.filename or 'A file'}: {error.strerror}.",
                "Check the path and the disk.",
                2,
            )
        raise


def _interrupted(error: BaseException | None) -> bool:
    """Return whether Ctrl-C is behind an error; libraries turn it into errors of their own."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _stopped() -> NoReturn:
    _fail("Stopped.", "Run the same command again to go on.", 130)


def _tell(error: UserError | StageError | StoppedError) -> NoReturn:
    if isinstance(error, UserError):
        _fail(str(error.message), error.remedy, 2)
    if isinstance(error, StoppedError):
        _fail(str(error), going_on(error, sys.argv[1:]), error.code, "Stopped")
    _fail(str(error), "", 1)


def _fail(message: str, remedy: str, code: int, label: str = "Error") -> NoReturn:
    if tells():
        print(f"{label}: {message}", file=sys.stderr)
        if remedy:
            print(remedy, file=sys.stderr)
    sys.exit(code)
