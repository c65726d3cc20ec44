"""Groups failed invocations by the kind of their last error: texts that differ only in ids, numbers, times and quoted
values are of one kind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, select

from scheduler.storage.read_models.history import LAST_ERROR, LedgerFilter, only
from scheduler.storage.read_models.overviews import MOST_COUNTED, REPLAYABLE
from scheduler.storage.tables.core import Invocation

ELLIPSIS = "…"
LONGEST = 200
"""The characters of an error that are compared; what follows is mostly a stranger's answer."""
VARYING = re.compile(
    r"""
    [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}   # a UUID
    | \d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?          # a date or time
    | \b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b                               # a hash or hexadecimal id
    | '[^'\n]{0,200}' | "[^"\n]{0,200}" | “[^”\n]{0,200}”           # a quoted value
    | \d+(?:[.,:]\d+)*                                              # a number
    """,
    re.VERBOSE | re.IGNORECASE,
)
STATUS = re.compile(r"\b(?:HTTP(?:/[\d.]+)?|status(?: code)?|answered|returned)\s+[1-5]\d\d\b", re.IGNORECASE)
"""HTTP status codes distinguish kinds of errors."""
MOST_KINDS = 10


def kind_of(error: str) -> str:
    """Returns the error with an ellipsis for each part that varies."""
    text = " ".join(error.split())[:LONGEST]
    kept: list[str] = []
    at = 0
    for found in STATUS.finditer(text):
        kept += [VARYING.sub(ELLIPSIS, text[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*kept, VARYING.sub(ELLIPSIS, text[at:])]).strip()


def longest_part(kind: str) -> str:
    """Returns the longest part of a kind that does not vary: a search for it finds its errors."""
    return max((part.strip() for part in kind.split(ELLIPSIS)), key=len)


@dataclass(slots=True)
class ErrorKind:
    """Failed invocations with errors of one kind, among the newest MOST_COUNTED."""

    kind: str
    example: str
    """The newest error."""
    last: datetime
    invocation_id: UUID
    """The newest invocation."""
    count: int = 0
    agent_ids: set[UUID] = field(default_factory=set)

    @property
    def search(self) -> str:
        """Returns a part of the errors, for the filter of the list."""
        return longest_part(self.kind)


def list_error_kinds(conn: Connection, tenant_id: UUID, wanted: LedgerFilter) -> Sequence[ErrorKind]:
    """Returns the most frequent kinds of errors of what `list_dead` lists, with errors or reasons, first the most
    frequent.
    """
    said = func.left(func.coalesce(LAST_ERROR, Invocation.reason), 2 * LONGEST).label("said")
    columns = select(Invocation.id, Invocation.agent_id, Invocation.opened_at, said)
    query = only(conn, columns, wanted).where(Invocation.tenant_id == tenant_id, REPLAYABLE)
    found: dict[str, ErrorKind] = {}
    for row in conn.execute(query.order_by(Invocation.id.desc()).limit(MOST_COUNTED)):
        if row.said:
            kind = kind_of(row.said)
            one = found.setdefault(kind, ErrorKind(kind, row.said, row.opened_at, row.id))
            one.count += 1
            one.agent_ids.add(row.agent_id)
    return sorted(found.values(), key=lambda each: -each.count)[:MOST_KINDS]
