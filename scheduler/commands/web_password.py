"""`reveille web-password`: sets the password of a web user."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.commands.console import Console, Yes, client_command, confirm
from scheduler.commands.edits import Resource, listed, shown
from scheduler.commands.lookup import named_id
from scheduler.commands.output import Columns
from scheduler.domain.ids import new_token

if TYPE_CHECKING:
    from scheduler.commands.client import Client

GENERATED_BITS = 128

users = typer.Typer(help="List web users; see also web-password.")

COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("SCOPE", "scope"),
    ("TENANT", "tenant_id"),
    ("CREATED", "created_at"),
)
FIELDS: Columns = tuple((head.lower(), path) for head, path in COLUMNS)
Ref = Annotated[str, typer.Argument(metavar="NAME", help="Its id or exact name.")]


def _user_id(client: Client, text: str) -> str:
    return named_id(client, text, "web user", "web-users")


USER = Resource("web user", "web-users", Ref, _user_id, FIELDS, COLUMNS)

listed(users, USER)
shown(users, USER)


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    client_command(app, "web-password")(web_password)
    app.add_typer(users, name="web-users")


def web_password(
    console: Console,
    name: Annotated[str, typer.Argument(help="The name to sign in with; unique across tenants.")],
    scope: Annotated[
        str | None,
        typer.Option(metavar="admin|write|read", help="Their permissions; default for a new user: read."),
    ] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Generate a password and print it once.")] = False,
    operator: Annotated[
        bool, typer.Option("--operator", help="Create an operator, who can view every tenant.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the user instead, after confirmation.")] = False,
    yes: Yes = False,
) -> None:
    """Set a web user's password, creating the user if needed. The password is prompted for, or read from a pipe."""
    client = console.client
    known = next((user for user in client.every("web-users") if user["name"] == name), None)
    if remove:
        if known is not None:
            confirm(f"Remove web user {name}?", yes=yes)
            client.delete("web-users", known["id"])
        console.done(None, f"{name} cannot sign in." if known else f"There is no web user {name!r}.")
        return
    password = new_token(GENERATED_BITS) if generate else _ask()
    body: dict[str, Any] = {"password": password, **({"scope": scope} if scope else {})}
    if known is not None:
        answer = client.patch("web-users", known["id"], body=body)
    else:
        owner = {"tenant_id": None} if operator else {}
        answer = client.post("web-users", body={"name": name, **body, **owner})
    shown = f"\nThe password, shown this once: {password}" if generate else ""
    console.done(
        answer | ({"password": password} if generate else {}),
        f"{name} can sign in with scope {answer['scope']}.{shown}",
    )


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
