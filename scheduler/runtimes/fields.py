"""Field types that runtimes share: addresses, secrets, headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from scheduler.domain.errors import InvalidField
from scheduler.net.headers import check_headers, check_names_differ

MAX_HEADERS = 20
Url = Annotated[str, StringConstraints(min_length=1, max_length=8192)]
BodyId = Annotated[UUID, Field(strict=False)]
Sent = Mapping[str, str | None] | None


def sendable(value: Sent) -> Sent:
    """Refuses headers that cannot be sent; null removes a header."""
    try:
        check_headers({name: each or "" for name, each in (value or {}).items()})
        check_names_differ(value or {})
    except InvalidField as error:
        raise ValueError(error.message) from None
    return value


def _bearer(value: str) -> str:
    sendable({"Authorization": f"Bearer {value}"})
    return value


Bearer = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_bearer)]
"""A secret that can be sent in a header as a bearer token."""
