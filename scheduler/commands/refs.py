"""The arguments that name something of the service, with completion: names and ids come from the server."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from scheduler.commands.console import connect
from scheduler.commands.exits import UsageFault
from scheduler.commands.trigger_options import read_text
from scheduler.domain.model import FiringState, InvocationState
from scheduler.domain.text import STATE_WORDS

if TYPE_CHECKING:
    from scheduler.commands.client import Client

PATIENCE = 1.0
"""How long completion waits for each response of the server, in seconds."""
LIMIT = 2.0
"""How long completion takes at most, in seconds."""
OFFERED = 200
"""The most names that are offered."""

Names = Iterator[tuple[str, str]]
"""Each name or id with a word about it."""


class DefaultsToList(TyperGroup):
    """A group whose command is `list` unless another is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts `list` before options of its own."""
        is_bare = not args or (args[0].startswith("-") and args[0] != "--help")
        parsed: list[str] = super().parse_args(
            ctx, ["list", *args] if is_bare and not ctx.resilient_parsing else args
        )
        return parsed


def _completed(names: Callable[[Client], Names]) -> Callable[[Any, str], list[tuple[str, str]]]:
    """Returns a completer. It is quiet and soon done when the server does not answer."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        given = {name: ctx.params.get(name) for name in ("url", "key", "tenant")}
        try:
            with _for_seconds(LIMIT), connect(**given, timeout=PATIENCE) as client:
                offered = [(name, word) for name, word in names(client) if name.startswith(incomplete)]
        except Exception:  # noqa: BLE001  # nobody completing a word wants an error
            return []
        return [(name, word) for name, word in offered if name.isprintable()]

    return complete


@contextmanager
def _for_seconds(seconds: float) -> Iterator[None]:
    """Raises TimeoutError after that time."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _names_of(path: str, word: str) -> Callable[[Client], Names]:
    def names(client: Client) -> Names:
        return ((row["name"], str(row.get(word) or "")) for row in client.get(path, limit=OFFERED)["items"])

    return names


def _ids_of(path: str, word: str) -> Callable[[Client], Names]:
    def ids(client: Client) -> Names:
        return ((row["id"], str(row.get(word) or "")) for row in client.get(path, limit=OFFERED)["items"])

    return ids


def _references(client: Client) -> Names:
    agents = {agent["id"]: agent["name"] for agent in client.get("agents", limit=OFFERED)["items"]}
    for trigger in client.get("triggers", limit=OFFERED)["items"]:
        if trigger["agent_id"] in agents:
            yield f"{agents[trigger['agent_id']]}/{trigger['name']}", trigger["type"]


def _ref(metavar: str, text: str, names: Callable[[Client], Names]) -> Any:
    return typer.Argument(metavar=metavar, help=text, autocompletion=_completed(names))


def _filter(flag: str, metavar: str, text: str, names: Callable[[Client], Names]) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, autocompletion=_completed(names))


NAMED = "Its id or exact name."
_agents = _names_of("agents", "role_description")

Agent = Annotated[str, _ref("AGENT", NAMED, _agents)]
AgentOrNone = Annotated[str | None, _ref("[AGENT]", "Only for this agent: id or name.", _agents)]
OfAgent = Annotated[str | None, _filter("--agent", "AGENT", "Only for this agent: id or name.", _agents)]
Trigger = Annotated[str, _ref("TRIGGER", "Its id, or AGENT/NAME.", _references)]
TriggerOrNone = Annotated[str | None, _ref("[TRIGGER]", "Its id, or AGENT/NAME.", _references)]
OfTrigger = Annotated[
    str | None, _filter("--trigger", "TRIGGER", "Only for this trigger: id, or AGENT/NAME.", _references)
]
Invocation = Annotated[str, _ref("INVOCATION", "Its id.", _ids_of("invocations", "state"))]
Firing = Annotated[str, _ref("FIRING", "Its id.", _ids_of("firings", "trigger_name"))]
Session = Annotated[str, _ref("SESSION", "Its id.", _ids_of("sessions", "title"))]
Channel = Annotated[str, _ref("CHANNEL", NAMED, _names_of("channels", "kind"))]
Model = Annotated[str, _ref("MODEL", NAMED, _names_of("models", "model"))]
User = Annotated[str, _ref("USER", NAMED, _names_of("users", "display_name"))]
Tenant = Annotated[str, _ref("TENANT", NAMED, _names_of("tenants", "timezone"))]
Key = Annotated[str, _ref("KEY", NAMED, _names_of("api-keys", "prefix"))]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="Its id, or AGENT/NAME.")]
Since = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="From this time (ISO 8601, UTC), or day.")
]
Until = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Until this time, or the end of this day.")
]
Search = Annotated[str | None, typer.Option("--text", help="With this text in it.")]
IdempotencyKey = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", help="An idempotency key: repeating it has no effect."),
]


def _state(states: type[StrEnum]) -> Any:
    words = {STATE_WORDS.get(each, each): each for each in states}

    def read(text: str) -> StrEnum:
        found = words.get(text) or next((each for each in states if each == text), None)
        if found is None:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(words)}.")
        return found

    return typer.Option(
        "--state",
        metavar="|".join(words),
        parser=read,
        help="Only in this state.",
        autocompletion=lambda: [*words],
    )


StateOfFirings = Annotated[FiringState | None, _state(FiringState)]
StateOfInvocations = Annotated[InvocationState | None, _state(InvocationState)]

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="A field as in the API, such as config.expr='0 9 * * *'; JSON, else text; @FILE reads a file. "
        "Can be repeated.",
    ),
]
Clear = Annotated[
    list[str] | None, typer.Option("--clear", metavar="FIELD", help="Empty a field (null). Can be repeated.")
]
Whole = Annotated[
    str | None, typer.Option("--json-body", metavar="JSON|@FILE", help="Fields as the API takes them.")
]


def put_fields(body: dict[str, Any], given: list[str] | None, cleared: list[str] | None = None) -> dict[str, Any]:
    """Puts `FIELD=VALUE` and cleared fields into a request. Raises UsageFault."""
    for text in given or []:
        field, equals, value = text.partition("=")
        if not (field.strip() and equals):
            raise UsageFault(f"--set {text[:80]!r} is not of the form FIELD=VALUE.")
        _put(body, field.strip(), _value(read_text(f"--set {field}", value) or ""))
    for field in cleared or []:
        _put(body, field.strip(), None)
    return body


def _put(body: dict[str, Any], field: str, value: object) -> None:
    *parents, last = field.split(".")
    for parent in parents:
        inner = body.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise UsageFault(f"{field}: {parent} was given twice.")
        body = inner
    body[last] = value


def _value(text: str) -> object:
    """Returns the JSON that the text is, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
