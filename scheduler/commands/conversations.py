"""`reveille users, messages, sessions, channels`: people, and what they and agents write to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, client_command
from scheduler.commands.edits import Resource, deleted, edited, listed, shown
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import agent_id, agent_names, checked_id, message_id, named_id
from scheduler.commands.output import Columns, show_block, show_json
from scheduler.commands.trigger_options import read_text

if TYPE_CHECKING:
    from scheduler.commands.client import Client

users = typer.Typer(help="Manage users: people who write to agents.")
messages = typer.Typer(help="Send and show messages.")
sessions = typer.Typer(help="Show conversations; lists them by default.", cls=refs.DefaultsToList)
channels = typer.Typer(help="Manage channels, by which chats reach an agent.")

USER_COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("SHOWN AS", "display_name"),
    ("ELSEWHERE", "external_ids"),
    ("CREATED", "created_at"),
)
USER_FIELDS: Columns = tuple((head.lower(), path) for head, path in USER_COLUMNS)
SESSION_COLUMNS: Columns = (
    ("ID", "id"),
    ("AGENT", "agent_name"),
    ("WITH", "peer"),
    ("CHANNEL", "channel"),
    ("STARTED", "created_at"),
    ("TITLE", "title"),
)
MESSAGE_COLUMNS: Columns = (
    ("ID", "id"),
    ("AT", "created_at"),
    ("ROLE", "role"),
    ("FROM", "from_type"),
    ("TEXT", "text"),
)
MESSAGE_FIELDS: Columns = (
    ("id", "id"),
    ("session", "session_id"),
    ("at", "created_at"),
    ("role", "role"),
    ("from", "from_type"),
    ("tool", "tool_name"),
    ("arguments", "tool_arguments"),
    ("state of the tool", "tool_state"),
)
CHANNEL_COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("KIND", "kind"),
    ("AGENT", "agent_id"),
    ("ENABLED", "is_enabled"),
    ("NOTE", "note"),
)
CHANNEL_FIELDS: Columns = (
    ("id", "id"),
    ("name", "name"),
    ("kind", "kind"),
    ("agent", "agent_id"),
    ("enabled", "is_enabled"),
    ("the app's own user", "bot_user_id"),
    ("address for its events", "events_url"),
    ("note", "note"),
    ("noted", "noted_at"),
    ("created", "created_at"),
)


def _user_id(client: Client, text: str) -> str:
    return named_id(client, text, "user", "users")


def _channel_id(client: Client, text: str) -> str:
    return named_id(client, text, "channel", "channels")


USER = Resource("user", "users", refs.User, _user_id, USER_FIELDS, USER_COLUMNS)
CHANNEL = Resource("channel", "channels", refs.Channel, _channel_id, CHANNEL_FIELDS, CHANNEL_COLUMNS)


def register(app: typer.Typer) -> None:
    """Adds the groups to the root command."""
    for name, group in (("users", users), ("messages", messages), ("sessions", sessions), ("channels", channels)):
        app.add_typer(group, name=name)


for add in (listed, shown):
    add(users, USER)
    add(channels, CHANNEL)
edited(channels, CHANNEL)
deleted(channels, CHANNEL)


@client_command(users, "create", {"external_ids": "--on"})
def create_user(
    console: Console,
    name: Annotated[str, typer.Argument(help="Unique in the tenant.")],
    display_name: Annotated[str | None, typer.Option(help="As agents see it; default: the name.")] = None,
    elsewhere: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="CHANNEL=ID", help="Their id on a channel; can be repeated."),
    ] = None,
) -> None:
    """Create a user."""
    ids = [each.partition("=") for each in elsewhere or []]
    if not all(channel and equals and id_ for channel, equals, id_ in ids):
        raise UsageFault("--on is of the form CHANNEL=ID, such as slack=U012.")
    body: dict[str, Any] = {"name": name, "external_ids": {channel: id_ for channel, _, id_ in ids}}
    body |= {} if display_name is None else {"display_name": display_name}
    console.details(console.client.post("users", body=body), USER_FIELDS)


@client_command(messages, "send", {"from": "--from-user"})
def send(
    console: Console,
    agent: refs.Agent,
    text: Annotated[str, typer.Argument(metavar="TEXT|@FILE", help="What it says.")],
    user: Annotated[
        str | None, typer.Option("--from-user", metavar="USER", help="Who writes: id or name.")
    ] = None,
    other: Annotated[
        str | None, typer.Option("--from-agent", metavar="AGENT", help="The agent that writes.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Default: web for a user, agent for an agent.")] = None,
    session: Annotated[
        str | None, typer.Option(metavar="SESSION", help="Default: the usual session of the two.")
    ] = None,
    event_id: Annotated[
        str | None, typer.Option(help="The sender's id for it; a repeat is not sent again.")
    ] = None,
) -> None:
    """Send a message to an agent, as a user or as another agent."""
    if user is not None and other is not None:
        raise UsageFault("--from-user and --from-agent cannot be combined.")
    client = console.client
    sender = {"type": "user", "id": _user_id(client, user)} if user is not None else None
    if other is not None:
        sender = {"type": "agent", "id": agent_id(client, other)}
    body = {
        "from": sender,
        "to_agent_id": agent_id(client, agent),
        "text": read_text("TEXT", text),
        "channel": channel,
        "session_id": None if session is None else checked_id(client, session, "session", "sessions"),
        "event_id": event_id,
    }
    answer = client.post("messages", body={name: value for name, value in body.items() if value is not None})
    fired = ", ".join(answer["firing_ids"])
    console.done(answer, f"Message {answer['id']} in session {answer['session_id']}; firings: {fired or 'none'}.")


@client_command(messages, "show")
def show_message(
    console: Console, message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Its id.")]
) -> None:
    """Show a message with its whole text."""
    answer = console.client.get("messages", message_id(console.client, message))
    if console.as_json:
        show_json(answer)
        return
    console.details(answer, MESSAGE_FIELDS)
    show_block("Text", answer["text"])


@client_command(sessions, "list")
def list_sessions(
    console: Console,
    agent: refs.OfAgent = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only with this user: id or name.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only on this channel.")] = None,
    since: refs.Since = None,
    until: refs.Until = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List conversations."""
    client = console.client
    query = {
        "agent_id": None if agent is None else agent_id(client, agent),
        "user_id": None if user is None else _user_id(client, user),
        "channel": channel,
        "from": since,
        "to": until,
    }
    path = ("sessions",)
    console.listing(
        path, SESSION_COLUMNS, "sessions", limit=limit, after=after, named=_peers(console), query=query
    )


@client_command(sessions, "show")
def show_session(
    console: Console,
    session: refs.Session,
    text: refs.Search = None,
    since: refs.Since = None,
    until: refs.Until = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """Show the messages of a conversation, newest first."""
    path = ("sessions", checked_id(console.client, session, "session", "sessions"), "messages")
    query = {"text": text, "from": since, "to": until}
    console.listing(path, MESSAGE_COLUMNS, "messages", limit=limit, after=after, query=query)


@client_command(channels, "create", {"secrets": "--secret"})
def create_channel(
    console: Console,
    agent: refs.Agent,
    name: Annotated[str, typer.Argument(help="Unique in the tenant.")],
    kind: Annotated[str, typer.Option(help="Such as slack or telegram; see docs/channels.md.")],
    secret: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE|NAME=@FILE", help="As its kind needs; can be repeated.")
    ],
    bot_user_id: Annotated[str | None, typer.Option(help="The provider's id of the app's own user.")] = None,
) -> None:
    """Connect an agent with an app of a chat provider."""
    pairs = [each.partition("=") for each in secret]
    if not all(key and equals for key, equals, _ in pairs):
        raise UsageFault("--secret is of the form NAME=VALUE.")
    body: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "agent_id": agent_id(console.client, agent),
        "secrets": {key: read_text("--secret", value) for key, _, value in pairs},
    }
    body |= {} if bot_user_id is None else {"bot_user_id": bot_user_id}
    console.details(console.client.post("channels", body=body), CHANNEL_FIELDS)


def _peers(console: Console) -> Any:
    def named(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        agents = agent_names(console.client)
        people = {user["id"]: user["name"] for user in console.client.every("users")}
        known = agents | people
        return [
            {
                **each,
                "agent_name": agents.get(each["agent_id"], each["agent_id"]),
                "peer": "itself" if each["is_reflection"] else known.get(each["user_id"] or each["peer_agent_id"]),
            }
            for each in items
        ]

    return named
