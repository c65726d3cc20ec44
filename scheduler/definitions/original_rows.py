"""Imports rows of the table of triggers of the daemon that Reveille replaces: JSON, JSON lines, or CSV with a header.

Its columns are `name`, `type`, `config`, `reason`, `focus_ref`, `is_enabled`, `max_fires`, `fire_count`,
`cooldown_seconds`, `expires_at`, `last_fired_at`, and `agent_name` or `agent_id`. Others are ignored.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from scheduler.definitions.crontab import CrontabImport, Note
from scheduler.domain.errors import InvalidField
from scheduler.triggers.once import parse_moment

TRUE, FALSE = frozenset({"t", "true", "1", "yes"}), frozenset({"f", "false", "0", "no"})
SUMMARY = "_notification_summary"
POLL = ("url", "method", "headers", "json_path", "fire_on", "match_value", "body")
ADDED = frozenset({"heartbeat", "a2a_wake"})
WAITS = "a2a_wait_"
DEFAULT_COOLDOWN = 60


class _NotImported(Exception):
    """The row cannot be imported."""


def import_rows(text: str, agent: str | None, now: datetime) -> CrontabImport:
    """Makes triggers of rows; `agent` is the agent of all, else each row names its own. Raises InvalidField."""
    imported = CrontabImport()
    names: set[tuple[str, str]] = set()
    for number, row in _rows(text):
        try:
            _Row(imported, number, row, now).add(agent, names)
        except _NotImported as lost:
            imported.notes.append(Note(number, f"{row.get('name') or 'The row'} is not imported: {lost}"))
    return imported


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields each row with its number: its line, or its place in a JSON array, counted from 1."""
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start == "[":
        for number, row in enumerate(_parsed(text, 1), start=1):
            yield number, _object(row, number)
    elif start == "{":
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield number, _object(_parsed(line, number), number)
    else:
        reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if isinstance(name, str)}


def _parsed(text: str, number: int) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise InvalidField(f"Line {number} is not JSON: {error}.") from None


def _object(row: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise InvalidField(f"Row {number} is not an object.")
    return row


class _Row:
    """A row being imported."""

    def __init__(self, imported: CrontabImport, number: int, row: Mapping[str, Any], now: datetime) -> None:
        self._imported = imported
        self._number = number
        self._row = row
        self._now = now
        self._config = self._read_config()

    def add(self, agent: str | None, names: set[tuple[str, str]]) -> None:
        """Adds the trigger. Raises _NotImported."""
        name, kind = str(self._row.get("name") or "").strip(), str(self._row.get("type") or "")
        if not name:
            raise _NotImported("it has no name.")
        if name in ADDED or name.startswith(WAITS):
            raise _NotImported("the service makes it itself.")
        convert = KINDS.get(kind)
        if convert is None:
            raise _NotImported(f"there is no type {kind!r}; the types are {', '.join(KINDS)}.")
        owner = agent or str(self._row.get("agent_name") or self._row.get("agent_id") or "")
        if not owner:
            raise _NotImported("it names no agent; give one with --agent.")
        if (owner, name) in names:
            raise _NotImported("an earlier row has the same name.")
        names.add((owner, name))
        trigger = {"agent": owner, "name": name, "type": kind, "config": convert(self)}
        self._imported.triggers.append(trigger | self._settings())

    def note(self, text: str) -> None:
        """Lists something that is not imported."""
        self._imported.notes.append(Note(self._number, f"{self._row.get('name')}: {text}"))

    def get(self, name: str) -> Any:
        """Returns a member of the config."""
        return self._config.get(name)

    def _read_config(self) -> dict[str, Any]:
        config = self._row.get("config")
        if isinstance(config, str) and config.strip():
            try:
                config = json.loads(config)
            except ValueError:
                raise _NotImported("its config is not JSON.") from None
        if config and not isinstance(config, Mapping):
            raise _NotImported("its config is not an object.")
        return dict(config or {})

    def _settings(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for column in ("reason", "focus_ref"):
            if self._row.get(column):
                found[column] = str(self._row[column])
        if self.get(SUMMARY):
            found["notification_summary"] = str(self.get(SUMMARY))
        cooldown = self._number_of("cooldown_seconds")
        if cooldown is not None and cooldown != DEFAULT_COOLDOWN:
            found["cooldown_seconds"] = cooldown
        found |= self._ends()
        if not self._flag("is_enabled"):
            found["is_enabled"] = False
        return found

    def _ends(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        most, fired = self._number_of("max_fires"), self._number_of("fire_count") or 0
        if most is not None:
            found["max_fires"] = max(int(most - fired), 0)
            if fired:
                self.note(f"it has fired {fired:g} of {most:g} times; max_fires is the remainder.")
        if self._row.get("expires_at"):
            moment = self._moment(self._row["expires_at"], "expires_at")
            if moment <= self._now:
                raise _NotImported("it has expired.")
            found["expires_at"] = moment.isoformat().replace("+00:00", "Z")
        return found

    def _flag(self, column: str) -> bool:
        value = self._row.get(column)
        text = str(value).lower()
        if value is None or value == "" or text in TRUE:
            return True
        if text in FALSE:
            return False
        raise _NotImported(f"its {column} is {value!r}.")

    def _number_of(self, column: str) -> float | None:
        value = self._row.get(column)
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise _NotImported(f"its {column} is {value!r}, not a number.") from None
        return int(number) if number.is_integer() else number

    def _moment(self, value: object, what: str) -> datetime:
        try:
            return parse_moment(str(value)).astimezone(UTC)
        except ValueError:
            raise _NotImported(f"its {what} is {value!r}, not a time.") from None

    def cron(self) -> dict[str, Any]:
        """An expression, each minute by default."""
        return {"expr": str(self.get("expr") or "* * * * *")} | self._zone()

    def _zone(self) -> dict[str, Any]:
        return {"timezone": str(self.get("timezone"))} if self.get("timezone") else {}

    def once(self) -> dict[str, Any]:
        """A time; one that has fired is over."""
        if self._number_of("fire_count"):
            raise _NotImported("it has fired.")
        moment = self._moment(self.get("at"), "at")
        allowed = {"allow_past": True} if moment <= self._now else {}  # the daemon fires it, however late
        return {"at": moment.isoformat().replace("+00:00", "Z")} | allowed

    def interval(self) -> dict[str, Any]:
        """Minutes, fractions of them too."""
        return {"minutes": self.get("minutes") or 30}

    def poll(self) -> dict[str, Any]:
        """An address and a path; each match fires again, as it did there."""
        found = {name: self.get(name) for name in POLL if self.get(name) is not None}
        found["interval_min"] = max(float(self.get("interval_min") or 5), 5.0)
        if found.get("fire_on") == "match":
            found["repeat"] = True
        else:
            found.pop("match_value", None)
        if "headers" in found:
            self.note("its headers are secrets, and are written here as they are; put {env: NAME} in their place.")
        self.note("its first check sets a new baseline.")
        return found

    def on_message(self) -> dict[str, Any]:
        """A sender by name."""
        if self.get("from_agent_name"):
            return {"from_agent": str(self.get("from_agent_name"))}
        if self.get("from_user_name"):
            return {"from_user": str(self.get("from_user_name")), "channels": ["feishu", "slack", "discord"]}
        raise _NotImported("it names no sender.")

    def webhook(self) -> dict[str, Any]:
        """A new address, with the secret of the old one."""
        self.note("it gets a new address: give it to its callers.")
        secret = self.get("secret")
        if not secret:
            return {}
        self.note("its secret is written here as it is; put {env: NAME} in its place.")
        return {"signature": {"scheme": "github", "secret": str(secret)}}


KINDS: dict[str, Callable[[_Row], dict[str, Any]]] = {
    "cron": _Row.cron,
    "once": _Row.once,
    "interval": _Row.interval,
    "poll": _Row.poll,
    "on_message": _Row.on_message,
    "webhook": _Row.webhook,
}
