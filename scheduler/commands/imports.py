"""`reveille import`: makes definitions of crontabs and of the triggers of the daemon that Reveille replaces."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.commands.exits import print_error, printable
from scheduler.commands.output import say
from scheduler.domain.errors import InvalidField
from scheduler.domain.text import counted

if TYPE_CHECKING:
    from scheduler.definitions.crontab import CrontabImport

group = typer.Typer(help="Import the jobs of another scheduler.")

File = Annotated[str, typer.Argument(metavar="FILE", help="The file, or - for stdin.")]


@group.command("crontab")
def crontab(
    file: File,
    agent: Annotated[str, typer.Option(help="The agent that each job wakes.")],
    system: Annotated[
        bool | None,
        typer.Option("--system/--user", help="Whether jobs name a user; default: detected from the file."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The zone of the times; default: the agent's.")
    ] = None,
) -> None:
    """Print the jobs of a crontab as triggers.

    What cannot be imported is listed on stderr with its line.
    """
    from scheduler.definitions.crontab import import_crontab, is_system_crontab
    from scheduler.triggers.zones import load_zone

    text = _read(file)
    zone = None if timezone is None else load_zone(timezone).key
    is_system = is_system_crontab(text, file, _users()) if system is None else system
    _show(import_crontab(text, agent, is_system=is_system, zone=zone), file, "crontab")


@group.command("triggers")
def triggers(
    file: File,
    agent: Annotated[
        str | None, typer.Option(help="The agent of all triggers; default: agent_name or agent_id of each row.")
    ] = None,
) -> None:
    """Print rows of the original's table of triggers.

    JSON, JSON lines, or CSV with a header. What cannot be imported is listed on stderr.
    """
    from scheduler.definitions.original_rows import import_rows
    from scheduler.domain.clock import SystemClock

    _show(import_rows(_read(file), agent, SystemClock().now()), file, "triggers")


def _show(imported: CrontabImport, file: str, set_name: str) -> None:
    """Prints the triggers; they are proposed as a set of their own, so that no other file's are called leftovers."""
    from scheduler.definitions.yaml_text import dump_yaml

    for line, text in imported.notes:
        print_error(printable(f"{file}:{line}: {text}"))
    count = len(imported.triggers)
    them = "it" if count == 1 else "them"
    said = f"{counted(count, 'trigger')} from {file}. Create {them} with: reveille apply -f FILE --set {set_name}"
    say(f"# {said}")
    say(dump_yaml({"triggers": imported.triggers}).rstrip())


def _read(file: str) -> str:
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InvalidField(f"{file}:{line}: the file is not UTF-8 text.") from None


def _users() -> frozenset[str]:
    """Returns the names of this machine's users."""
    import pwd

    return frozenset({"root", *(each.pw_name for each in pwd.getpwall())})
