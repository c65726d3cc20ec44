"""`reveille keys`: manages API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, Yes, client_command, confirm
from scheduler.commands.edits import Resource, shown
from scheduler.commands.lookup import agent_id, named_id
from scheduler.commands.output import Columns, say

if TYPE_CHECKING:
    from scheduler.commands.client import Client

group = typer.Typer(help="Manage API keys.")

COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("KEY", "prefix"),
    ("SCOPES", "scopes"),
    ("TENANT", "tenant_id"),
    ("CREATED", "created_at"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
)
FIELDS: Columns = (
    ("id", "id"),
    ("name", "name"),
    ("scopes", "scopes"),
    ("tenant", "tenant_id"),
    ("begins with", "prefix"),
    ("created", "created_at"),
    ("expires", "expires_at"),
    ("last used", "last_used_at"),
    ("key", "key"),
)
OF_AGENT = "agent:"


def _key_id(client: Client, text: str) -> str:
    return named_id(client, text, "key", "api-keys")


KEY = Resource("key", "api-keys", refs.Key, _key_id, FIELDS)


@client_command(group, "list")
def list_keys(console: Console, limit: Limit = 50, after: After = None) -> None:
    """List keys, without their secret part, which is not stored."""
    console.listing(("api-keys",), COLUMNS, "keys", limit=limit, after=after)


shown(group, KEY)


@client_command(group, "create", {"scopes": "--scope"})
def create(
    console: Console,
    name: Annotated[str, typer.Argument(help="Its purpose, shown in the audit trail.")],
    scope: Annotated[
        list[str], typer.Option(metavar="admin|write|read|agent:AGENT", help="Its permissions; can be repeated.")
    ],
    operator: Annotated[
        bool, typer.Option("--operator", help="Create an operator's key, valid for every tenant.")
    ] = False,
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it expires (ISO 8601); default: never.")
    ] = None,
) -> None:
    """Create a key, which is shown once."""
    scopes = [
        OF_AGENT + agent_id(console.client, each.removeprefix(OF_AGENT)) if each.startswith(OF_AGENT) else each
        for each in scope
    ]
    body: dict[str, Any] = {"name": name, "scopes": scopes, **({"tenant_id": None} if operator else {})}
    body |= {} if expires_at is None else {"expires_at": expires_at}
    answer = console.client.post("api-keys", body=body)
    console.details(answer, FIELDS)
    if not console.as_json:
        say("\nKeep the key: it is not shown again.")


@client_command(group, "revoke")
def revoke(
    console: Console,
    key_id: refs.Key,
    yes: Yes = False,
) -> None:
    """Revoke a key, after confirmation.

    Requests with the key are refused from then on.
    """
    chosen = _key_id(console.client, key_id)
    confirm(f"Revoke key {key_id}?", yes=yes)
    console.client.delete("api-keys", chosen)
    console.done(None, f"Revoked key {key_id}.")
