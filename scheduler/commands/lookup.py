"""Resolves names and short ids to ids, as the API only accepts ids.

An id is used as it is, a name must be exact, and a short id is the beginning of one, as tables show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from scheduler.commands.exits import UsageFault
from scheduler.domain.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from scheduler.commands.client import Client

DIGITS = 32
"""The digits of an id."""
SHORT_ID = 8
"""The digits by which a deleted agent is told."""
FEWEST = 4
"""The fewest digits of a short id."""
TIME_DIGITS = 12
"""The first digits of an id, which are the milliseconds at which it was made (RFC 9562 section 5.7)."""
MARGIN_SECONDS = 60.0
LAST_SECONDS = 250_000_000_000.0
"""In the year 9892."""
LAST_DIGITS = 8
SEARCHED_EVENTS = 2_000
"""The newest audit events among whose subjects a short id is found."""
SHOWN = 5
"""The most candidates that are named for an ambiguous short id."""

Item = Mapping[str, Any]


def agent_id(client: Client, text: str) -> str:
    """Returns the id of the agent with this id or name."""
    return named_id(client, text, "agent", "agents", hint="`reveille agents list` shows all agents")


def agent_names(client: Client) -> dict[str, str]:
    """Returns the name of each agent, by its id."""
    return {str(agent["id"]): str(agent["name"]) for agent in client.every("agents")}


def name_among(names: Mapping[str, str], id_: str) -> str:
    """Returns an agent's name among those of `agent_names`, which has no deleted ones."""
    return names.get(id_) or f"(deleted {id_[:SHORT_ID]})"


def tenant_id(client: Client, text: str) -> str:
    """Returns the id of the tenant with this id or name; requires an operator's key."""
    return named_id(client, text, "tenant", "tenants", hint="`reveille tenants list` shows all tenants")


def trigger_id(client: Client, text: str) -> str:
    """Returns the id of the trigger with this id or `AGENT/NAME`; either name may contain a slash."""
    return _below_agent(client, text, lambda agent: client.every("triggers", agent_id=agent)) or checked_id(
        client, text, "trigger", "triggers", hint="give its id, or AGENT/NAME as `reveille triggers list` shows"
    )


def target_id(client: Client, text: str) -> str:
    """Returns the id of the notification target with this id or `AGENT/NAME`."""
    found = _below_agent(client, text, lambda agent: client.every("agents", agent, "notification-targets"))
    if found is not None:
        return found
    targets = (
        target
        for agent in client.every("agents")
        for target in client.every("agents", agent["id"], "notification-targets")
    )
    return str(one_of(targets, text, "target", "give its id, or AGENT/NAME")["id"])


def named_id(client: Client, text: str, what: str, *path: str, hint: str = "give its id or exact name") -> str:
    """Returns the id of the object of a listing with this id or name."""
    if _is_id(text):
        return text
    same = [row for row in client.every(*path) if row["name"] == text]
    if len(same) > 1:
        raise UsageFault(f"Several are named {text!r}: {_listed(same)}; give the id.")
    if same:
        return str(same[0]["id"])
    return checked_id(client, text, what, *path, hint=hint)


def checked_id(client: Client, text: str, what: str, *path: str, hint: str = "give its id") -> str:
    """Returns the id that `text` is, or begins in the listing at `path`, which is in the order of ids."""
    if _is_id(text):
        return text
    begin = _digits(text)
    if begin is None:
        raise NotFound(f"There is no {what} {text!r}; {hint}.")
    listed = client.get(*path, after=str(UUID(begin.ljust(DIGITS, "f"))), limit=SHOWN + 1)["items"]
    rows = [row for row in listed if _hex(row).startswith(begin)]
    if not rows and len(begin) == LAST_DIGITS:
        rows = [row for row in _searched(client, begin) if row["kind"] == what]
    return str(_only(rows, text, what, hint)["id"])


def message_id(client: Client, text: str) -> str:
    """Returns the id of the message with this id or short id."""
    begin = _digits(text)
    if _is_id(text) or begin is None:
        return text
    rows = [row for row in client.get("search", q=text)["items"] if row["kind"] == "message"]
    return str(
        _only([row for row in rows if _hex(row).startswith(begin)], text, "message", "give its whole id")["id"]
    )


def subject_id(client: Client, text: str) -> str:
    """Returns the id of the subject of newer audit events that has this id or short id."""
    begin = _digits(text)
    if _is_id(text) or begin is None:
        return text
    events = islice(client.every("audit"), SEARCHED_EVENTS)
    found = {event["subject_id"]: {"id": event["subject_id"]} for event in events if event["subject_id"]}
    rows = [row for row in found.values() if _hex(row).startswith(begin)]
    return str(_only(rows, text, "subject", "give its whole id, as --wide shows it")["id"])


def _searched(client: Client, digits: str) -> list[dict[str, Any]]:
    """Returns what the last digits of an id find, which the pages show."""
    try:
        found: list[dict[str, Any]] = client.get("search", q=digits)["items"]
    except (NotFound, Forbidden):
        return []
    return [row for row in found if _hex(row).endswith(digits)]


def one_of(among: Iterable[dict[str, Any]], text: str, what: str, hint: str) -> dict[str, Any]:
    """Returns the one with this id or short id. Raises UsageFault that names several, and NotFound."""
    begin = text.replace("-", "").lower() if _is_id(text) else _digits(text)
    rows = [] if begin is None else [row for row in among if _hex(row).startswith(begin)]
    return _only(rows, text, what, hint)


def _only(rows: list[dict[str, Any]], text: str, what: str, hint: str) -> dict[str, Any]:
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise NotFound(f"There is no {what} {text!r}; {hint}.")
    raise UsageFault(f"{text!r} is the beginning of several ids: {_listed(rows)}; give more of it.")


def _listed(rows: Sequence[Item]) -> str:
    names = [f" ({row['name']})" if row.get("name") else "" for row in rows]
    shown = [f"{row['id']}{name}" for row, name in zip(rows, names, strict=True)]
    return ", ".join(shown[:SHOWN]) + (" and more" if len(rows) > SHOWN else "")


def _below_agent(client: Client, text: str, rows: Callable[[str], Iterable[Item]]) -> str | None:
    """Returns the id of the object `AGENT/NAME`, None for a text that is none."""
    if _is_id(text):
        return text
    if "/" not in text:
        return None
    for agent in client.every("agents"):
        if not text.startswith(f"{agent['name']}/"):
            continue
        for row in rows(agent["id"]):
            if text == f"{agent['name']}/{row['name']}":
                return str(row["id"])
    return None


def times_of(text: str) -> tuple[str, str] | None:
    """Returns about when the object with this id or short id was made, from and to; None for a text that is none."""
    digits = text.replace("-", "").lower() if _is_id(text) else _digits(text)
    if digits is None:
        return None
    begin, end = (int(digits[:TIME_DIGITS].ljust(TIME_DIGITS, fill), 16) / 1000 for fill in "0f")
    span = max(begin - MARGIN_SECONDS, 0), min(end + MARGIN_SECONDS, LAST_SECONDS)
    since, until = (datetime.fromtimestamp(min(at, LAST_SECONDS), UTC).isoformat() for at in span)
    return since, until


def _digits(text: str) -> str | None:
    """Returns the digits of a short id; None for a text that is none."""
    digits = text.replace("-", "").lower()
    is_short = FEWEST <= len(digits) < DIGITS and all(digit in "0123456789abcdef" for digit in digits)
    return digits if is_short else None


def _hex(row: Item) -> str:
    return str(row["id"]).replace("-", "").lower()


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
