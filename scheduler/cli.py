"""The `reveille` command. Each command imports its dependencies when it runs, so that `--help` is fast."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from scheduler.commands import (
    agent_state,
    agents,
    alerts,
    audit,
    backup,
    budgets,
    completion,
    conversations,
    definitions,
    deliveries,
    dev,
    history,
    imports,
    insights,
    keys,
    models,
    pauses,
    prune,
    server,
    simulate,
    tail,
    targets,
    tenants,
    tools,
    trigger_actions,
    triggers,
    web_password,
)
from scheduler.commands.doctor import command as doctor
from scheduler.commands.exits import ExitCode, disable_flushing, exit_code, prepare_streams, print_error, texts_of
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
backup.register(app)
prune.register(app)
app.add_typer(agents.group, name="agents")
app.add_typer(triggers.group, name="triggers")
app.add_typer(targets.group, name="targets")
agent_state.register(agents.group)
trigger_actions.register(app, triggers.group)
app.add_typer(deliveries.group, name="deliveries")
history.register(app)
tail.register(app)
insights.register(app)
alerts.register(app)
definitions.register(app)
dev.register(app)
simulate.register(app)
app.add_typer(imports.group, name="import")
audit.register(app)
pauses.register(app)
budgets.register(app, agents.group)
conversations.register(app)
app.add_typer(models.group, name="models")
app.add_typer(keys.group, name="keys")
app.add_typer(tenants.group, name="tenants")
web_password.register(app)
tools.register(app)
completion.register(app)
PACKAGES = ("api", "config")
"""Our packages with names that other projects use too."""
ROOT = Path(__file__).resolve().parents[1]


def _show_version(wanted: bool) -> None:
    if wanted:
        from config.installation import installed_version

        typer.echo(installed_version() or "not installed, so its version is unknown")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code. Errors are printed to stderr as a single line."""
    if not arguments:
        run(["--help"])
        return ExitCode.USAGE
    try:
        result = app(args=texts_of(arguments), prog_name="reveille", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt) as error:
        return _interrupted(error)
    except ReveilleError as error:
        return _say(error.message, exit_code(error))
    except OSError as error:
        return _failed(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, people get a line and not a traceback
        return _broken(error, arguments)
    return result if isinstance(result, int) else ExitCode.OK


def _usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    hint = f" See: {context.command_path} --help" if context else ""
    reason = error.format_message().replace("Value error, ", "")
    return _say(f"{reason}{hint}", ExitCode.USAGE)


def _interrupted(error: BaseException) -> int:
    """Reports Ctrl-C or an aborted prompt."""
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return _say("Aborted.", ExitCode.FAILED)


def _failed(error: OSError) -> int:
    """Reports an expected error. Prints nothing when the reader of the output has gone away."""
    if isinstance(error, BrokenPipeError):
        disable_flushing()
        return ExitCode.FAILED
    reason = error.strerror or type(error).__name__
    if error.filename is not None:
        return _say(f"{error.filename}: {reason}.", ExitCode.FAILED)
    code = _say(f"The output could not be written, or the input could not be read: {reason}.", ExitCode.FAILED)
    disable_flushing()
    return code


def _broken(error: Exception, arguments: Sequence[str]) -> int:
    """Reports an unexpected error.

    Service processes log the traceback; other commands do with REVEILLE_LOG_LEVEL=DEBUG.
    """
    from loguru import logger

    from config.logging import configure_logging
    from config.settings import load_settings

    shows_all = False
    with suppress(Exception):  # the settings may be what is broken
        level = load_settings().log_level
        shows_all = level in ("DEBUG", "TRACE")
        if shows_all:
            configure_logging(level, as_json=False)
    if arguments[0] in server.PROCESSES or shows_all:
        logger.opt(exception=error).error("The command failed")
    lines = str(error).splitlines() or [""]
    return _say(
        f"Unexpected error: {type(error).__name__}: {lines[0]} (REVEILLE_LOG_LEVEL=DEBUG shows where)",
        ExitCode.FAILED,
    )


def _say(message: str, code: int) -> int:
    print_error(f"reveille: {message}")
    return code


def shadowed() -> str | None:
    """Returns a message when another project's package is imported in place of one of ours, else None."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != ROOT / name / "__init__.py":
            return (
                f"The package {name!r} of {found or 'another project'} hides "
                f"Reveille's own in {ROOT}: start it from another directory, without PYTHONPATH, "
                "or in an environment of its own (pipx, uv tool)."
            )
    return None


def main() -> None:
    """The entry point of `reveille` and of `python -m scheduler.cli`."""
    prepare_streams()
    obstacle = shadowed()
    sys.exit(run(sys.argv[1:]) if obstacle is None else _say(obstacle, ExitCode.USAGE))


if __name__ == "__main__":
    main()
