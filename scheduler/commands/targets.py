"""`reveille targets`: manages the notification targets of agents."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, client_command
from scheduler.commands.edits import Resource, deleted, shown
from scheduler.commands.lookup import agent_id, target_id
from scheduler.commands.output import Columns, say
from scheduler.commands.trigger_options import read_text
from scheduler.domain.errors import ReveilleError

group = typer.Typer(help="Manage notification targets, to which replies are sent.")

COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("KIND", "kind"),
    ("HOST", "host"),
    ("DELIVERED", "delivered_at"),
    ("NOTE", "note"),
)
FIELDS: Columns = (
    ("id", "id"),
    ("agent", "agent_id"),
    ("name", "name"),
    ("kind", "kind"),
    ("host", "host"),
    ("delivered", "delivered_at"),
    ("note", "note"),
    ("noted", "noted_at"),
    ("created", "created_at"),
    ("secret", "secret"),
)

TARGET = Resource("target", "notification-targets", refs.Target, target_id, FIELDS)


@client_command(group, "list")
def list_targets(console: Console, agent: refs.Agent, limit: Limit = 50, after: After = None) -> None:
    """List the targets of an agent."""
    path = ("agents", agent_id(console.client, agent), "notification-targets")
    console.listing(path, COLUMNS, "targets", limit=limit, after=after)


shown(group, TARGET)


@client_command(group, "add", {"url": "--target-url"})
def add(
    console: Console,
    agent: refs.Agent,
    name: Annotated[str, typer.Argument(help="Its name, unique for the agent.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="webhook, or a chat service such as slack.")],
    target_url: Annotated[str, typer.Option(metavar="URL|@FILE", help="The destination; not shown again.")],
    secret: Annotated[
        str | None,
        typer.Option(metavar="SECRET|@FILE", help="The signing secret; generated for a webhook if omitted."),
    ] = None,
) -> None:
    """Add a target. Its URL is stored encrypted."""
    path = ("agents", agent_id(console.client, agent), "notification-targets")
    url, signing = read_text("--target-url", target_url), read_text("--secret", secret)
    body = {"name": name, "kind": kind, "url": url} | ({} if signing is None else {"secret": signing})
    target = console.client.post(*path, body=body)
    console.details(target, FIELDS)
    if not console.as_json and target["secret"]:
        say("\nKeep the secret: it is not shown again.")


@client_command(group, "test")
def test(console: Console, target: refs.Target) -> None:
    """Send a test to a target.

    The exit code is 1 if it is not delivered.
    """
    answer = console.client.post("notification-targets", target_id(console.client, target), "test")
    if not answer["delivered"]:
        raise ReveilleError(f"Not delivered: {answer['error']}")
    console.done(answer, "It arrived.")


deleted(group, TARGET, " Pending deliveries to it are dropped.")
