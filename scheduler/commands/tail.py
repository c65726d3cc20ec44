"""`reveille tail`: firings and wakes as they happen.

The service's stream only says that something changed; what it was is read from the listings, so that nothing is
missed when the stream breaks, as at a restart of the service.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from scheduler.commands import refs
from scheduler.commands.console import Console, client_command
from scheduler.commands.exits import Unreachable, print_error
from scheduler.commands.lookup import agent_id, agent_names, name_among, trigger_id
from scheduler.commands.output import say, show_json
from scheduler.domain.errors import DatabaseUnavailable, NotFound, ReveilleError, Unauthorized
from scheduler.domain.text import STATE_WORDS

if TYPE_CHECKING:
    from scheduler.commands.client import Client

SHOWN = {
    "running": "started_at",
    "awaiting": "started_at",
    "retrying": "started_at",
    "succeeded": "finished_at",
    "dead": "finished_at",
    "cancelled": "finished_at",
    "skipped": "finished_at",
}
"""The states of invocations that are shown, and the time of each. The others are visible as firings."""
OVER = ("succeeded", "dead", "cancelled", "skipped")
LATE_MS = 60_000
"""How much later than a newer row one may become visible."""
LOOK_SECONDS = 2.0
"""The time between two checks without a stream."""
AWAY_SECONDS = 2.0
"""The time between two attempts while the service is unavailable."""
FIRST = 200
"""How many past items are read."""
MOST_OPEN = 50
"""The most older invocations that are looked at one by one."""
MOST_WHOLE = 20
"""The most invocations at once whose replies are read."""
SHORT_ID = 13

Item = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    client_command(app, "tail")(tail)


def tail(
    console: Console,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow until Ctrl-C.")] = False,
    agent: refs.OfAgent = None,
    trigger: refs.OfTrigger = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, max=FIRST, help="How many past events to show first.")
    ] = 10,
) -> None:
    """Show the newest firings and wakes, as they come with -f.

    With --json each is a JSON object on a line of its own: {"kind": "firing" or "invocation", ...}.
    """
    client = console.client
    query = {
        "agent_id": None if agent is None else agent_id(client, agent),
        "trigger_id": None if trigger is None else trigger_id(client, trigger),
    }
    log = Log(client, query)
    past = log.news()
    _show_all(console, past[len(past) - min(limit, len(past)) :])
    while follow:
        _show_all(console, log.wait())


class Log:
    """Events that have not been read yet."""

    def __init__(self, client: Client, query: Mapping[str, object]) -> None:
        self._client = client
        self._query = query
        self._seen: dict[str, str] = {}
        """The last known state of each firing and invocation."""
        self._open: set[str] = set()
        """Invocations that have not ended."""
        self._newest_ms = 0
        self._names: dict[str, str] = {}
        self._lines: Iterator[str] | None = None
        self._has_stream = True

    def news(self) -> list[Item]:
        """Returns the new firings and the invocations in a new state, oldest first."""
        floor = max(self._newest_ms - LATE_MS, 0)
        rows = [*self._rows("firing", floor), *self._rows("invocation", floor)]
        looked = {row["id"] for row in rows}
        rows += [row for id_ in sorted(self._open - looked)[-MOST_OPEN:] for row in self._one(id_)]
        self._newest_ms = max((_ms(row["id"]) for row in rows), default=self._newest_ms)
        found = [row for row in rows if self._is_new(row)]
        self._seen = {id_: was for id_, was in self._seen.items() if id_ in self._open or _ms(id_) >= floor}
        return sorted(map(self._named, found), key=_at)

    def wait(self) -> list[Item]:
        """Waits for and returns the next events. Survives an unavailable service."""
        is_away = False
        while True:
            try:
                self._wait_for_change()
                return self.news()
            except (Unreachable, DatabaseUnavailable) as error:
                self._lines = None
                if not is_away:
                    print_error(f"reveille: {error.message} Waiting until it does.")
                is_away = True
                time.sleep(AWAY_SECONDS)

    def _wait_for_change(self) -> None:
        if not self._has_stream:
            time.sleep(LOOK_SECONDS)
            return
        try:
            if self._lines is None:
                self._lines = self._client.changes()
            if not any(line.startswith("data:") for line in self._lines):
                self._lines = None  # it ended, and is opened again
        except (Unreachable, DatabaseUnavailable, Unauthorized):
            raise
        except ReveilleError:  # another version, or a key that may not
            self._has_stream = False

    def _rows(self, kind: str, floor: int) -> list[Item]:
        found = self._client.every(f"{kind}s", **self._query)
        kept: list[Item] = []
        for row in found if floor else islice(found, FIRST):
            if _ms(row["id"]) < floor:
                break
            kept.append({"kind": kind, **row})
        return kept

    def _one(self, id_: str) -> list[Item]:
        try:
            return [{"kind": "invocation", **self._client.get("invocations", id_)}]
        except NotFound:
            self._open.discard(id_)
            return []

    def _is_new(self, row: Item) -> bool:
        is_firing = row["kind"] == "firing"
        state = "fired" if is_firing else row["state"]
        if not is_firing:
            (self._open.discard if state in OVER else self._open.add)(row["id"])
        is_new = self._seen.get(row["id"]) != state
        self._seen[row["id"]] = state
        return is_new and (is_firing or state in SHOWN)

    def _named(self, row: Item) -> Item:
        if row["agent_id"] not in self._names:
            self._names = agent_names(self._client)
        return {**row, "agent_name": name_among(self._names, row["agent_id"])}


def _show_all(console: Console, rows: list[Item]) -> None:
    asked = 0
    for row in rows:
        if console.as_json:
            show_json(row, indent=None)
            continue
        what = f"{row['agent_name']}/{row['trigger_name']}" if row["kind"] == "firing" else row["agent_name"]
        said = row["reason"]
        if (
            row["kind"] == "invocation"
            and row["state"] in ("succeeded", "dead", "retrying")
            and asked < MOST_WHOLE
        ):
            asked += 1
            said = _said(console.client.get("invocations", row["id"]))
        word = "fired" if row["kind"] == "firing" else STATE_WORDS.get(row["state"], row["state"])
        id_ = row["id"][:SHORT_ID] if console.view.fits else row["id"]
        line = f"{console.view.time(_time(row))}  {word:<9}  {id_}  {what}  {said or ''}".rstrip()
        say(line.partition("\n")[0])
    sys.stdout.flush()


def _said(whole: Item) -> str | None:
    """Returns an invocation's reply, or why it failed."""
    error: str | None = whole["tries"][-1]["error"] if whole["tries"] else None
    reply: str | None = whole["reply"]
    return (reply if whole["state"] == "succeeded" else error) or whole["reason"]


def _time(row: Item) -> str:
    at = row["fired_at"] if row["kind"] == "firing" else row[SHOWN[row["state"]]]
    return str(at or row.get("started_at") or row["opened_at"])


def _at(row: Item) -> datetime:
    return datetime.fromisoformat(_time(row))


def _ms(id_: str) -> int:
    """Returns when an id was made, in milliseconds (RFC 9562 section 5.7)."""
    return UUID(id_).int >> 80
