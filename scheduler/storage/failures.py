"""Groups failed invocations by the kind of their last error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, func, select

from scheduler.domain.error_kinds import LONGEST, kind_of, longest_part
from scheduler.storage.overviews import MOST_COUNTED
from scheduler.storage.queries import LAST_ERROR, LedgerFilter, only
from scheduler.storage.tables import NEEDS_A_HUMAN, Invocation

MOST_KINDS = 10


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
    query = only(conn, columns, wanted).where(Invocation.tenant_id == tenant_id, NEEDS_A_HUMAN)
    found: dict[str, ErrorKind] = {}
    for row in conn.execute(query.order_by(Invocation.id.desc()).limit(MOST_COUNTED)):
        if row.said:
            kind = kind_of(row.said)
            one = found.setdefault(kind, ErrorKind(kind, row.said, row.opened_at, row.id))
            one.count += 1
            one.agent_ids.add(row.agent_id)
    return sorted(found.values(), key=lambda each: -each.count)[:MOST_KINDS]
