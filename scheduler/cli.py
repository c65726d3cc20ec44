"""The command `reveille`. What a command needs is imported when it runs, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from scheduler.commands import (
    agents,
    budgets,
    doctor,
    history,
    keys,
    server,
    targets,
    tools,
    triggers,
    web_password,
)
from scheduler.commands.exits import ExitCode, exit_code
from scheduler.domain.errors import ReveilleError

app = typer.Typer(
    name="reveille",
    help="Reveille wakes AI agents: on time, once, with everything that happened.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
server.register(app)
doctor.register(app)
app.add_typer(agents.group, name="agents")
app.add_typer(triggers.group, name="triggers")
app.add_typer(targets.group, name="targets")
history.register(app)
budgets.register(app, agents.group)
app.add_typer(keys.group, name="keys")
tools.register(app)
web_password.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(version("reveille"))
        except PackageNotFoundError:
            typer.echo("not installed, so its version is not known")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; what went wrong is one line on stderr."""
    if not arguments:
        run(["--help"])
        return ExitCode.USAGE
    try:
        result = app(args=list(arguments), prog_name="reveille", standalone_mode=False)
    except typer.TyperException as error:
        return _usage(error)
    except typer.Abort:
        return _say("Aborted.", ExitCode.FAILED)
    except ReveilleError as error:
        return _say(error.message, exit_code(error))
    except BrokenPipeError:
        # The reader went away. Nothing more can be said, not even by Python's own flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.OK


def _usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    hint = f" See: {context.command_path} --help" if context else ""
    return _say(f"{error.format_message()}{hint}", ExitCode.USAGE)


def _say(message: str, code: int) -> int:
    typer.echo(f"reveille: {message}", err=True)
    return code


def main() -> None:
    """The entry point of `reveille` and of `python -m scheduler.cli`."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
