"""The lists of pages as CSV, with the same filters: `/csv/invocations?state=dead`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Caller, Level, caller, needs
from api.services import services
from api.web.base import page_blueprint
from api.web.csv.files import csv_file, csv_of
from api.web.csv.lists import LISTS, Rows
from api.web.csv.tables import TABLES
from api.web.list_filters import Filter, RequestFilters, read_filters
from api.web.zones import shown_zone
from scheduler.domain.errors import Forbidden, InvalidField, NotFound
from scheduler.storage.read_models.overviews import agent_names

csv_lists = page_blueprint("csv")


@csv_lists.get("/csv/<name>")
@needs(Level.READ)
def download(name: str) -> Response:
    """Downloads all rows of a list that match the filters."""
    who, zone, db = caller(), shown_zone(), services().db
    if name in TABLES:
        return _table(who, name)
    listed = LISTS.get(name)
    if listed is None or (listed.for_operators and not who.is_operator):
        raise NotFound(f"There is no list {name!r}.")
    if who.level < listed.level:
        raise Forbidden(f"{listed.level.name.capitalize()} is required to see this list.")
    with db.begin() as conn:
        asked = _valid(conn, who, listed.filters)
        listed.read(conn, who, asked, 1, None)  # a missing session or trigger is told before the download begins

    def fetch(conn: Connection, *, limit: int, after: Any) -> Rows:
        return listed.read(conn, who, asked, limit, after)

    def names_of(conn: Connection, rows: Rows) -> dict[UUID, str]:
        return agent_names(conn, who.tenant_id, {row.agent_id for row in rows if row.agent_id})

    add = names_of if listed.names_agents else None
    return csv_file(name, db, fetch, listed.columns, zone, add=add, cursor=listed.cursor)


def _table(who: Caller, name: str) -> Response:
    table = TABLES[name]
    with services().db.begin() as conn:
        rows = table.read(conn, who, _valid(conn, who, table.filters))
    return csv_of(name, rows, table.columns, shown_zone())


def _valid(conn: Connection, who: Caller, filters: Sequence[Filter]) -> RequestFilters:
    """Returns the filters. Raises InvalidField for an invalid one, as more would be listed than intended."""
    asked = read_filters(conn, who.tenant_id, filters)
    for name, message in asked.errors.items():
        raise InvalidField(message, field=name)
    return asked
