"""Housekeeping as native jobs: every worker schedules each duty, and one process at a time runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from scheduler.domain.errors import DatabaseUnavailable


@dataclass(frozen=True)
class Duty:
    """A background duty. `run` must be safe to call from several processes at once."""

    name: str
    every_seconds: float
    run: Callable[[], object]

    def look(self) -> None:
        """Runs the duty once. Ignores a database outage: the duty simply runs again later."""
        try:
            self.run()
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            logger.warning("{!r} could not be done now: {}", self.name, str(error).partition("\n")[0])
