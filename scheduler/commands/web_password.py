"""`reveille web-password`: sets the password of a web user."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from scheduler.commands.console import Console, Yes, client_command, confirm
from scheduler.domain.ids import new_token

GENERATED_BITS = 128


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    client_command(app, "web-password")(web_password)


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
