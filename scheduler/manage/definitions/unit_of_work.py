"""The unit of work of an apply: the transaction, the services within it, and the errors found so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict, Forbidden, InvalidField, NotFound, ReveilleError
from scheduler.domain.field_errors import MAX_ERRORS, MESSAGE_LENGTH, FieldError, InvalidRequest
from scheduler.manage.agents.service import Agents
from scheduler.manage.channels import Channels
from scheduler.manage.definitions.shapes import Doc, FieldChange, StoredDefinition, WantedDefinition
from scheduler.manage.models import Author, Models
from scheduler.manage.notification_targets import NotificationTargets
from scheduler.manage.row_errors import ConflictingRows
from scheduler.manage.triggers.service import Triggers
from scheduler.runtimes.base import Operator
from scheduler.storage.engine import Database
from scheduler.storage.tables.tenants import Tenant

NewT = TypeVar("NewT")
MadeT = TypeVar("MadeT")


class JoinedDatabase(Database):
    """A database whose transactions are parts of one that is open: each is a savepoint."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Opens a savepoint, which an error rolls back."""
        with self._conn.begin_nested():
            yield self._conn


@dataclass(slots=True)
class Errors:
    """Every error of a request, each with its place."""

    found: list[FieldError] = field(default_factory=list)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Records what is refused in the block, and continues."""
        try:
            yield
        except (InvalidField, Conflict, NotFound, Forbidden) as error:
            self.note(place, error)

    def note(self, place: str, error: ReveilleError) -> None:
        """Records an error below a place."""
        if isinstance(error, InvalidRequest | ConflictingRows):
            for each in error.errors:
                self.add(f"{place}.{each.field}", each.rule, each.message)
        else:
            self.add(f"{place}.{error.field}" if error.field else place, error.problem, error.message)

    def add(self, path: str, rule: str, message: str) -> None:
        """Records an error."""
        self.found.append(FieldError(field=path[:MESSAGE_LENGTH], rule=rule, message=message[:MESSAGE_LENGTH]))

    def raise_all(self) -> None:
        """Raises InvalidRequest if there are any."""
        if self.found:
            raise InvalidRequest(self.found[:MAX_ERRORS])


@dataclass(frozen=True, slots=True)
class Services:
    """The services, within the transaction."""

    models: Models
    agents: Agents
    triggers: Triggers
    targets: NotificationTargets
    channels: Channels


@dataclass(slots=True)
class Work:
    """One apply or export."""

    conn: Connection
    tenant: Tenant
    services: Services
    operator: Operator
    author: Author
    errors: Errors = field(default_factory=Errors)
    model_ids: dict[str, UUID] = field(default_factory=dict)
    agent_ids: dict[str, UUID] = field(default_factory=dict)

    @property
    def actor(self) -> str:
        """Who applies."""
        return self.author.actor


@dataclass(frozen=True, slots=True)
class NewObject:
    """A new object: its definition as it was stored, and what is shown only this once."""

    id: UUID
    doc: Doc = field(repr=False)
    shown_once: dict[str, str] = field(default_factory=dict, repr=False)


class Kind(ABC):
    """One kind of definitions."""

    name: ClassVar[str]
    keeps: ClassVar[tuple[str, ...]] = ()
    """Fields that stay as they are when they are left out."""
    whole: ClassVar[tuple[str, ...]] = ()
    """Fields that are compared as a whole."""

    def __init__(self, work: Work) -> None:
        self.work = work

    @abstractmethod
    def read(self) -> list[StoredDefinition]:
        """Returns everything of this kind that the tenant has."""

    @abstractmethod
    def is_secret(self, path: str) -> bool:
        """Whether a path in a definition, or one above it, is that of a secret."""

    def prepare(self, pairs: Sequence[tuple[WantedDefinition, StoredDefinition | None]]) -> None:  # noqa: B027  # most need nothing
        """Reads in one go what `desired` needs."""

    @abstractmethod
    def desired(self, wanted: WantedDefinition, held: StoredDefinition | None) -> Doc:
        """Returns the whole definition, as it would be read once applied. Raises InvalidField."""

    @abstractmethod
    def create(self, new: Sequence[tuple[WantedDefinition, Doc]]) -> list[tuple[WantedDefinition, NewObject]]:
        """Creates objects; what is refused is recorded."""

    @abstractmethod
    def update(
        self, wanted: WantedDefinition, held: StoredDefinition, desired: Doc, changes: Sequence[FieldChange]
    ) -> dict[str, str]:
        """Changes an object; returns what is shown only this once."""

    @abstractmethod
    def delete_all(self, held: Sequence[StoredDefinition]) -> dict[UUID, str]:
        """Deletes objects; returns by id why some stay."""

    def learn(self, held: Sequence[StoredDefinition]) -> None:  # noqa: B027  # most are not referred to
        """Notes what later kinds refer to by name."""


def create_in_bulk(
    errors: Errors, new: Sequence[tuple[WantedDefinition, NewT]], create: Callable[[list[NewT]], Sequence[MadeT]]
) -> list[tuple[WantedDefinition, MadeT]]:
    """Creates all at once, or, if some are refused, the others: so every error is found."""
    rest = list(new)
    while rest:
        try:
            made = create([each for _, each in rest])
        except (InvalidRequest, ConflictingRows) as error:
            refused = set()
            for each in error.errors:
                _, index, *path = each.field.split(".")
                refused.add(int(index))
                errors.add(".".join([rest[int(index)][0].place, *path]), each.rule, each.message)
            rest = [each for index, each in enumerate(rest) if index not in refused]
        else:
            return [(wanted, each) for (wanted, _), each in zip(rest, made, strict=True)]
    return []
