"""Stores documents that a firing carries, such as mails: its data has the start of each and its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.errors import NotFound
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables.base import Base
from scheduler.triggers.looks import Document


class FiringDocument(Base):
    """One document; `number` counts from 1."""

    __tablename__ = "firing_documents"

    firing_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    content_type: Mapped[str]
    body: Mapped[bytes]


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """A document of a firing without its body."""

    number: int
    name: str
    content_type: str
    size: int


def add_documents(conn: Connection, firing_id: UUID, documents: Sequence[Document]) -> None:
    """Stores the documents of a firing, numbered from 1."""
    if documents:
        conn.execute(
            insert(FiringDocument),
            [
                {
                    "firing_id": firing_id,
                    "number": number,
                    "name": each.name,
                    "content_type": each.content_type,
                    "body": each.body,
                }
                for number, each in enumerate(documents, 1)
            ],
        )


def list_documents(conn: Connection, firing_id: UUID) -> Sequence[ListedDocument]:
    """Returns number, name, content type and size of each document of a firing."""
    size = func.octet_length(FiringDocument.body).label("size")
    query = select(FiringDocument.number, FiringDocument.name, FiringDocument.content_type, size)
    return rows_as(
        ListedDocument,
        conn.execute(query.where(FiringDocument.firing_id == firing_id).order_by(FiringDocument.number)),
    )


def get_document(conn: Connection, firing_id: UUID, number: int) -> FiringDocument:
    """Returns a document of a firing that the caller may access; raises NotFound."""
    query = select(*FiringDocument.__table__.columns)
    row = row_as(
        FiringDocument,
        conn.execute(query.where(FiringDocument.firing_id == firing_id, FiringDocument.number == number)),
    )
    if row is None:
        raise NotFound(f"The firing '{firing_id}' has no document {number}.")
    return row
