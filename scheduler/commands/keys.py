"""`reveille keys`: manages API keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.commands.console import After, Console, Limit, Yes, client_command, confirm
from scheduler.commands.lookup import checked_id
from scheduler.commands.output import Columns, say

group = typer.Typer(help="Manage API keys.")

COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("KEY", "prefix"),
    ("SCOPES", "scopes"),
    ("TENANT", "tenant_id"),
    ("CREATED", "created_at"),
)
FIELDS: Columns = (("id", "id"), ("name", "name"), ("scopes", "scopes"), ("tenant", "tenant_id"), ("key", "key"))


@client_command(group, "list")
def list_keys(console: Console, limit: Limit = 50, after: After = None) -> None:
    """List keys, without their secret part, which is not stored."""
    console.table(console.client.get("api-keys", limit=limit, after=after), COLUMNS, "keys")


@client_command(group, "create")
def create(
    console: Console,
    name: Annotated[str, typer.Argument(help="Its purpose, shown in the audit trail.")],
    scope: Annotated[
        list[str], typer.Option(metavar="admin|write|read|agent:ID", help="Its permissions; can be repeated.")
    ],
    operator: Annotated[
        bool, typer.Option("--operator", help="Create an operator's key, valid for every tenant.")
    ] = False,
) -> None:
    """Create a key, which is shown once."""
    body: dict[str, Any] = {"name": name, "scopes": scope, **({"tenant_id": None} if operator else {})}
    answer = console.client.post("api-keys", body=body)
    console.details(answer, FIELDS)
    if not console.as_json:
        say("\nKeep the key: it is not shown again.")


@client_command(group, "revoke")
def revoke(
    console: Console,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its id.")],
    yes: Yes = False,
) -> None:
    """Revoke a key, after confirmation.

    Requests with the key are refused from then on.
    """
    chosen = checked_id(key_id, "key")
    confirm(f"Revoke key {chosen}?", yes=yes)
    console.client.delete("api-keys", chosen)
    console.done(None, f"Revoked key {key_id}.")
