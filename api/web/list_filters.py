"""The filters of lists: one form (`list_filters.html`) and one parser for a list's address or a form that repeats
it.

A list's page declares its filters, reads them with `read_filters`, and gets its rows from `Asked.page`. An unknown
or invalid value is reported beside its field and nothing is listed, as unrelated rows would mislead.
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
from scheduler.storage.read_models.history import LedgerFilter
from scheduler.storage.read_models.name_filters import AGENTS, TRIGGERS, NamedTable, find_named, suggest
from scheduler.storage.read_models.spans import Span

RowT = TypeVar("RowT")
LONGEST = 200
"""The maximum length of a search text."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One field of the form. `kind`: `text`, `time`, `choice`, or a type that is found by name or id."""

    name: str
    label: str
    kind: str = "text"
    options: Mapping[str, str] = field(default_factory=dict)
    """For a choice: its values and labels."""
    hint: str = ""
    formerly: str = ""
    """An older name, used in saved links."""
    check: Callable[[str], object] | None = None
    """Converts the text; raises InvalidField when it is invalid."""


AGENT = Filter("agent_id", "Agent", "agent", hint="Name or ID.")
TRIGGER = Filter("trigger_id", "Trigger", "trigger", hint="Name or ID.")
FROM = Filter("from", "From", "time")
TO = Filter("to", "To", "time")
ERROR = Filter("error", "Error", hint="Part of its text.")
KINDS: dict[str, NamedTable] = {"agent": AGENTS, "trigger": TRIGGERS}


def choice(name: str, label: str, options: Sequence[str] | Mapping[str, str]) -> Filter:
    """Accepts one of these values."""
    words = options if isinstance(options, Mapping) else {each: each.replace("_", " ") for each in options}
    return Filter(name, label, "choice", words)


@dataclass(slots=True)
class RequestFilters:
    """The filters of a request."""

    filters: Sequence[Filter]
    given: dict[str, str] = field(default_factory=dict)
    """The given values, as links and forms repeat them."""
    shown: dict[str, str] = field(default_factory=dict)
    """The same as the form displays them."""
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    suggestions: dict[str, Sequence[str]] = field(default_factory=dict)
    status: HTTPStatus = HTTPStatus.OK

    def get(self, name: str) -> Any:
        """Returns a parsed value; None when not given."""
        return self.values.get(name)

    @property
    def span(self) -> Span:
        """Returns the time span."""
        return Span(self.get(FROM.name), self.get(TO.name))

    @property
    def query(self) -> str:
        """Returns the filters as the query of a link, with its question mark, or empty."""
        return f"?{urlencode(self.given)}" if self.given else ""

    def page(self, fetch: Callable[..., Sequence[RowT]]) -> Paged[RowT]:
        """Returns the requested page of the list; empty while a filter is invalid."""
        return Paged((), None, None) if self.errors else paged(fetch)

    def refuse(self, name: str, error: InvalidField | NotFound) -> None:
        """Reports an invalid filter."""
        self.errors[name] = error.message
        is_worst = isinstance(error, NotFound) or self.status is HTTPStatus.NOT_FOUND
        self.status = HTTPStatus.NOT_FOUND if is_worst else HTTPStatus.UNPROCESSABLE_ENTITY


def read_filters(conn: Connection, tenant_id: UUID, filters: Sequence[Filter]) -> RequestFilters:
    """Reads the filters of the request."""
    asked = RequestFilters(filters)
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


def ledger_filter(asked: RequestFilters) -> LedgerFilter:
    """Returns the filter of firings or invocations."""
    return LedgerFilter(
        asked.get(AGENT.name), asked.get(TRIGGER.name), asked.get("state"), asked.span, asked.get(ERROR.name)
    )


def _read(conn: Connection, tenant_id: UUID, each: Filter, text: str, asked: RequestFilters) -> tuple[Any, str]:
    """Parses a filter's text, and returns how the form displays it."""
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
    """Parses a time in the page's zone unless it has an offset; a date alone means its start, or its end for an
    end.
    """
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
        raise InvalidField(f"{text!r} is not a date or time. Write one like 2030-01-31T09:00.") from None
    return moment


def _as_input(moment: datetime) -> str:
    local = moment.astimezone(zone_info(shown_zone())).replace(tzinfo=None)
    return local.isoformat(timespec="minutes" if not local.second else "seconds")
