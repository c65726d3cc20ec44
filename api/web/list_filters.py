"""The filters of lists: one form (`list_filters.html`) and one parser, which reads it from the address of a list or
from a form that carries it on.

A list's page says which filters it has, reads them by `read_filters`, and takes its rows by `Asked.page`. What is
unknown or cannot be read is said beside its field, and nothing is listed: rows that were not asked for would mislead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from flask import request
from sqlalchemy import Connection

from api.web.base import Paged, paged
from api.web.zones import shown_zone
from scheduler.domain.errors import InvalidField, NotFound
from scheduler.domain.local_time import read_iso, zone_info
from scheduler.storage.named import AGENTS, TRIGGERS, Named, find_named, suggest
from scheduler.storage.queries import LedgerFilter
from scheduler.storage.spans import Span

RowT = TypeVar("RowT")
LONGEST = 200
"""Characters that are looked for."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One field of the form. `kind`: `text`, `time`, `choice`, or what is found by its name or id."""

    name: str
    label: str
    kind: str = "text"
    options: Mapping[str, str] = field(default_factory=dict)
    """Of a choice: its values, and what people read."""
    hint: str = ""
    formerly: str = ""
    """Its name in links that people kept."""
    check: Callable[[str], object] | None = None
    """Raises InvalidField for a text that cannot be looked for; else what stands for it."""


AGENT = Filter("agent_id", "Agent", "agent", hint="Name or ID.")
TRIGGER = Filter("trigger_id", "Trigger", "trigger", hint="Name or ID.")
FROM = Filter("from", "From", "time")
TO = Filter("to", "To", "time")
ERROR = Filter("error", "Error", hint="Part of its text.")
KINDS: dict[str, Named] = {"agent": AGENTS, "trigger": TRIGGERS}


def choice(name: str, label: str, options: Sequence[str] | Mapping[str, str]) -> Filter:
    """One of these values."""
    words = options if isinstance(options, Mapping) else {each: each.replace("_", " ") for each in options}
    return Filter(name, label, "choice", words)


@dataclass(slots=True)
class Asked:
    """What a request asks a list for."""

    filters: Sequence[Filter]
    given: dict[str, str] = field(default_factory=dict)
    """What was given, as links and forms repeat it."""
    shown: dict[str, str] = field(default_factory=dict)
    """The same as the form shows it."""
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    suggestions: dict[str, Sequence[str]] = field(default_factory=dict)
    status: HTTPStatus = HTTPStatus.OK

    def get(self, name: str) -> Any:
        """What was read; None where nothing was given."""
        return self.values.get(name)

    @property
    def span(self) -> Span:
        """From when to when."""
        return Span(self.get(FROM.name), self.get(TO.name))

    @property
    def query(self) -> str:
        """The filters as they stand behind the path of a link: with their question mark, or nothing."""
        return f"?{urlencode(self.given)}" if self.given else ""

    def page(self, fetch: Callable[..., Sequence[RowT]]) -> Paged[RowT]:
        """The page of the list that is asked for; empty while a filter is wrong."""
        return Paged((), None, None) if self.errors else paged(fetch)

    def refuse(self, name: str, error: InvalidField | NotFound) -> None:
        """Say of a filter what is wrong with it."""
        self.errors[name] = error.message
        is_worst = isinstance(error, NotFound) or self.status is HTTPStatus.NOT_FOUND
        self.status = HTTPStatus.NOT_FOUND if is_worst else HTTPStatus.UNPROCESSABLE_ENTITY


def read_filters(conn: Connection, tenant_id: UUID, filters: Sequence[Filter]) -> Asked:
    """The filters that the request asks for."""
    asked = Asked(filters)
    for each in filters:
        text = (
            (request.values.get(each.name) or request.values.get(each.formerly, ""))
            .replace("\0", "")
            .strip()[:LONGEST]
        )
        if each.kind in KINDS:
            asked.suggestions[each.name] = suggest(conn, tenant_id, KINDS[each.kind])
        if not text:
            continue
        asked.given[each.name] = asked.shown[each.name] = text
        try:
            asked.values[each.name], asked.shown[each.name] = _read(conn, tenant_id, each, text, asked)
        except (InvalidField, NotFound) as error:
            asked.refuse(each.name, error)
    since, until = asked.get(FROM.name), asked.get(TO.name)
    if since and until and since > until:
        asked.refuse(TO.name, InvalidField("Must not be before the start."))
    return asked


def ledger_filter(asked: Asked) -> LedgerFilter:
    """What to leave of firings or invocations."""
    return LedgerFilter(
        asked.get(AGENT.name), asked.get(TRIGGER.name), asked.get("state"), asked.span, asked.get(ERROR.name)
    )


def _read(conn: Connection, tenant_id: UUID, each: Filter, text: str, asked: Asked) -> tuple[Any, str]:
    """What a filter's text stands for, and how the form shows it."""
    if each.kind in KINDS:
        found = find_named(conn, tenant_id, KINDS[each.kind], text, agent_id=asked.get(AGENT.name))
        return found.id, found.shown
    if each.kind == "time":
        moment = _moment(text, is_end=each.name == TO.name)
        return moment, _as_input(moment)
    if each.kind == "choice" and text not in each.options:
        raise InvalidField(f"There is no {each.label.lower()} {text!r}.", field=each.name)
    return each.check(text) if each.check else text, text


def _moment(text: str, *, is_end: bool) -> datetime:
    """A time of the page's zone unless it has an offset; a day alone begins, or at the end ends, with itself."""
    try:
        moment = read_iso(text)
        if moment.tzinfo is None:
            whole_day = (
                timedelta(days=1, microseconds=-1) if is_end and len(text) <= len("20300131--") else timedelta()
            )
            moment = (moment + whole_day).replace(tzinfo=zone_info(shown_zone()))
        if not 1970 < moment.year < 9999:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise InvalidField(f"{text!r} is no date or time. Write one like 2030-01-31T09:00.") from None
    return moment


def _as_input(moment: datetime) -> str:
    local = moment.astimezone(zone_info(shown_zone())).replace(tzinfo=None)
    return local.isoformat(timespec="minutes" if not local.second else "seconds")
