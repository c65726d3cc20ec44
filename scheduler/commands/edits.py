"""The commands that all resources share: show, edit and delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, Yes, client_command, confirm
from scheduler.commands.exits import UsageFault
from scheduler.commands.output import Columns, say
from scheduler.commands.trigger_options import read_json_object

if TYPE_CHECKING:
    from scheduler.commands.client import Client


@dataclass(frozen=True)
class Resource:
    """What the commands of a group act on."""

    what: str
    path: str
    """Of its listing."""
    ref: Any
    """The type of the argument that names one."""
    find: Callable[[Client, str], str]
    """Returns the id of the one named so."""
    fields: Columns | Callable[[Mapping[str, Any]], Columns]
    """What is shown of one. A function where it depends on that one."""
    columns: Columns = ()

    def shown(self, row: Mapping[str, Any]) -> Columns:
        """Returns what is shown of one."""
        return self.fields(row) if callable(self.fields) else self.fields

    @property
    def with_article(self) -> str:
        """Such as `an agent`."""
        return f"{'an' if self.what[0] in 'aeio' else 'a'} {self.what}"


def listed(group: typer.Typer, thing: Resource) -> None:
    """Adds `list`."""

    def command(console: Console, limit: Limit = 50, after: After = None) -> None:
        console.listing((thing.path,), thing.columns, f"{thing.what}s", limit=limit, after=after)

    _add(group, "list", command, f"List {thing.what}s.")


def shown(group: typer.Typer, thing: Resource) -> None:
    """Adds `show`."""

    def command(console: Console, named: str) -> None:
        found = console.client.get(thing.path, thing.find(console.client, named))
        console.details(found, thing.shown(found))

    command.__annotations__["named"] = thing.ref
    _add(group, "show", command, f"Show {thing.with_article}.")


def edited(
    group: typer.Typer, thing: Resource, secret: Callable[[dict[str, Any]], str | None] | None = None
) -> None:
    """Adds `edit`. `secret` returns a note about a response, such as that a new secret is shown once."""

    def command(
        console: Console, named: str, given: refs.Set = None, clear: refs.Clear = None, whole: refs.Whole = None
    ) -> None:
        body = refs.put_fields(dict(read_json_object("--json-body", whole)), given, clear)
        if not body:
            raise UsageFault("Nothing to change: pass --set FIELD=VALUE, --clear FIELD or --json-body.")
        answer = console.client.patch(thing.path, thing.find(console.client, named), body=body)
        console.details(answer, thing.shown(answer))
        told = secret(answer) if secret is not None and not console.as_json else None
        if told is not None:
            say(f"\n{told}")

    command.__annotations__["named"] = thing.ref
    _add(group, "edit", command, f"Change {thing.with_article}. Other fields stay as they are.")


def deleted(group: typer.Typer, thing: Resource, after: str = "") -> None:
    """Adds `delete`. `after` describes the consequences."""

    def command(console: Console, named: str, yes: Yes = False) -> None:
        id_ = thing.find(console.client, named)
        name = console.client.get(thing.path, id_)["name"]
        confirm(f"Delete {thing.what} {name}?{after}", yes=yes)
        console.client.delete(thing.path, id_)
        console.done(None, f"Deleted {thing.what} {name}.")

    command.__annotations__["named"] = thing.ref
    _add(group, "delete", command, f"Delete {thing.with_article}, after confirmation.")


def _add(group: typer.Typer, name: str, command: Callable[..., None], doc: str) -> None:
    command.__doc__ = doc
    client_command(group, name)(command)
