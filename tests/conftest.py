from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from scheduler.storage.engine import Database
from tests.support.log_watch import WATCH
from tests.support.postgres import Databases, fastest_place, running_server

# How long an example takes says how busy the machine is; a test whose subject is speed counts processor time.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
WATCH.start()


@pytest.fixture(scope="session", autouse=True)
def no_secret_is_logged() -> Iterator[None]:
    """No line that was logged during the session holds a secret that was made in it."""
    yield
    assert WATCH.leaks() == [], "secrets in the logs"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the slowest tests, so that the processes that share the tests end together."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The session's PostgreSQL server, for tests that need several databases or the server itself."""
    with (
        tempfile.TemporaryDirectory(prefix="reveille-tests-", dir=fastest_place()) as directory,
        running_server(Path(directory)) as running,
    ):
        yield running


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A new, migrated database of this test: `postgresql://…`."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture
def sqlalchemy_url(database_url: str) -> str:
    """The same database as `database_url`, as SQLAlchemy wants it: `postgresql+psycopg://…`."""
    return database_url.replace("postgresql:", "postgresql+psycopg:", 1)


@pytest.fixture
def db(sqlalchemy_url: str) -> Iterator[Database]:
    """The same database through the product's pool, with a connection for each of up to 16 threads."""
    database = Database(sqlalchemy_url, pool_size=16)
    yield database
    database.dispose()
