"""What the database refuses, as errors for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import IntegrityError

from scheduler.domain.errors import Conflict


@contextmanager
def refuse_duplicate(constraint: str, message: str) -> Iterator[None]:
    """Raise Conflict on `name` when the unique `constraint` is violated inside; the transaction is lost then."""
    try:
        yield
    except IntegrityError as error:
        diagnostics = getattr(error.orig, "diag", None)
        if getattr(diagnostics, "constraint_name", None) == constraint:
            raise Conflict(message, field="name") from None
        raise
