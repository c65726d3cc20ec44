"""The base class of all tables: maps Python types to columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, LargeBinary, MetaData, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

CHANNEL = "reveille_wake"
"""The NOTIFY channel on which a committed change wakes the schedulers. Its messages have no payload."""


class Base(DeclarativeBase):
    """Maps Python types to column types for all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        str: Text(),
        bytes: LargeBinary(),
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        dict[str, Any]: JSONB(none_as_null=True),
        list[dict[str, Any]]: JSONB(none_as_null=True),
        list[str]: ARRAY(Text()),
        list[UUID]: ARRAY(Uuid()),
    }

    def columns(self) -> dict[str, Any]:
        """Returns a row's values by column name."""
        return {name: getattr(self, name) for name in self.__table__.columns.keys()}  # noqa: SIM118  # no dict


NOW = text("clock_timestamp()")
NOT_DELETED = text("deleted_at IS NULL")
