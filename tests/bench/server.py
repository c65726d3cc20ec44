"""The PostgreSQL shared by one run of the bench: the embedded one, with production safety."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import Databases, running_server

OPTIONS = {"max_connections": "100", "track_commit_timestamp": "on"}
"""Commit timestamps: lateness is measured until the commit, when a firing can no longer be lost."""


@contextmanager
def bench_server() -> Iterator[Databases]:
    """Runs a server with a migrated template, in a temporary directory; fsync is on."""
    with (
        tempfile.TemporaryDirectory(prefix="reveille-bench-") as directory,
        running_server(Path(directory), OPTIONS) as databases,
    ):
        yield databases


def sqlalchemy_url(url: str) -> str:
    """Converts `url` for SQLAlchemy."""
    return url.replace("postgresql:", "postgresql+psycopg:", 1)
