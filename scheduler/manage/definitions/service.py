"""Applies and reads definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from scheduler.manage.definitions.agents import Agents
from scheduler.manage.definitions.apply import Apply
from scheduler.manage.definitions.channels import Channels
from scheduler.manage.definitions.models import Models
from scheduler.manage.definitions.shapes import ApplyResult, StoredDefinition, WantedDefinition
from scheduler.manage.definitions.targets import Targets
from scheduler.manage.definitions.triggers import Triggers
from scheduler.manage.definitions.unit_of_work import JoinedDatabase, Kind, Services, Work
from scheduler.manage.models import Author
from scheduler.runtimes.base import Operator
from scheduler.storage.definitions import lock_definitions, read_marks
from scheduler.storage.engine import Database
from scheduler.storage.tenants import get_tenant

ORDER: tuple[type[Kind], ...] = (Models, Agents, Triggers, Targets, Channels)
"""What is referred to comes before what refers to it."""
DEFAULT_SET = "default"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How definitions are applied."""

    set_name: str = DEFAULT_SET
    dry_run: bool = False
    prune: bool = False


@dataclass(frozen=True, slots=True)
class StoredDefinitions:
    """What a tenant has of one kind; `kind` tells which of its fields are secret."""

    kind: Kind
    held: Sequence[StoredDefinition]


class Definitions:
    """The operations on definitions. Each is one transaction."""

    def __init__(self, db: Database, operator: Operator, join: Callable[[Database], Services]) -> None:
        """`join` makes the services upon a database."""
        self._db = db
        self._operator = operator
        self._join = join

    def apply(
        self, tenant_id: UUID, wanted: Sequence[WantedDefinition], author: Author, options: Options
    ) -> ApplyResult:
        """Makes the tenant's objects as wanted, all or none. A dry run says what it would do, and does not.

        Raises InvalidRequest with every error.
        """
        try:
            with self._db.begin() as conn:
                lock_definitions(conn, tenant_id)
                work = self._work(conn, tenant_id, author)
                apply = Apply(work, options.set_name, read_marks(conn, tenant_id))
                apply.all([kind(work) for kind in ORDER], wanted, prune=options.prune)
                work.errors.raise_all()
                if options.dry_run:
                    raise _Undone(apply.applied)
                return apply.applied
        except _Undone as undone:
            applied: ApplyResult = undone.result
            return applied

    def before_and_after(
        self, tenant_id: UUID, wanted: Sequence[WantedDefinition], author: Author, read: Callable[[Connection], T]
    ) -> tuple[T, T]:
        """Returns what `read` returns before and after an apply that is rolled back. Raises as `apply` does."""
        try:
            with self._db.begin() as conn:
                lock_definitions(conn, tenant_id)
                before = read(conn)
                work = self._work(conn, tenant_id, author)
                Apply(work, DEFAULT_SET, {}).all([kind(work) for kind in ORDER], wanted, prune=False)
                work.errors.raise_all()
                raise _Undone((before, read(conn)))
        except _Undone as undone:
            both: tuple[T, T] = undone.result
            return both

    def read(self, tenant_id: UUID) -> list[StoredDefinitions]:
        """Returns everything that can be defined, kind by kind."""
        with self._db.begin() as conn:
            work = self._work(conn, tenant_id, Author("system"))
            found = []
            for each in ORDER:
                kind = each(work)
                held = kind.read()
                kind.learn(held)
                found.append(StoredDefinitions(kind, held))
            return found

    def _work(self, conn: Connection, tenant_id: UUID, author: Author) -> Work:
        tenant = get_tenant(conn, tenant_id, keep=True)
        return Work(conn, tenant, self._join(JoinedDatabase(conn)), self._operator, author)


class _Undone(Exception):
    """A dry run ends, and rolls back."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result
