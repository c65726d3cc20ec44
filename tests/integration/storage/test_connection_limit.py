"""How many connections the server, the user or the database allows decides whether a worker is one process."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from config.settings import Settings
from scheduler.domain.roles import Role
from scheduler.storage.connection_limit import read_connection_limit
from scheduler.worker_processes import ENOUGH_CONNECTIONS, LARGE_JOBS, SCHEDULER, SMALL_JOBS, processes_of
from tests.support.postgres import Databases


def limit_database(databases: Databases, url: str, limit: int) -> None:
    with psycopg.connect(databases.server.url_of("postgres", "postgres"), autocommit=True) as conn:
        name = Identifier(str(make_url(url).database))
        conn.execute(SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(name, limit))


def test_the_lowest_limit_counts(databases: Databases, database_url: str, sqlalchemy_url: str) -> None:
    of_server = read_connection_limit(sqlalchemy_url)
    assert of_server == 197  # 200, three of which are for superusers
    limit_database(databases, database_url, 20)
    assert read_connection_limit(sqlalchemy_url) == 20
    limit_database(databases, database_url, 1000)
    assert read_connection_limit(sqlalchemy_url) == of_server


def test_the_limit_of_an_unreachable_database_is_not_known() -> None:
    assert read_connection_limit("postgresql+psycopg://nobody@127.0.0.1:1/none") is None


@pytest.mark.parametrize(
    ("limit", "chosen", "role", "expected"),
    [
        (ENOUGH_CONNECTIONS, "auto", Role.ALL, [SCHEDULER, SMALL_JOBS, LARGE_JOBS]),
        (ENOUGH_CONNECTIONS, "auto", Role.INVOKER, [SMALL_JOBS, LARGE_JOBS]),
        (ENOUGH_CONNECTIONS, "auto", Role.SCHEDULER, []),
        (ENOUGH_CONNECTIONS, "one", Role.ALL, []),
        (ENOUGH_CONNECTIONS - 1, "auto", Role.ALL, []),
        (ENOUGH_CONNECTIONS - 1, "several", Role.ALL, [SCHEDULER, SMALL_JOBS, LARGE_JOBS]),
    ],
)
def test_a_worker_has_the_processes_that_the_limit_allows(
    databases: Databases, database_url: str, limit: int, chosen: str, role: Role, expected: list[tuple[str, ...]]
) -> None:
    limit_database(databases, database_url, limit)
    settings = Settings.model_validate({"database_url": database_url, "worker_processes": chosen})
    assert processes_of(settings, role) == expected
