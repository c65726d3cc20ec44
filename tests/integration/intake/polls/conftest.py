from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.storage.engine import Database
from tests.support.polls import Polls, Site, running_site
from tests.support.stepped_scheduler import stepped


@pytest.fixture
def db(sqlalchemy_url: str) -> Iterator[Database]:
    """The test's database."""
    database = Database(sqlalchemy_url, pool_size=5)
    yield database
    database.dispose()


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that polls may request."""
    with running_site() as running:
        yield running


@pytest.fixture
def polls(db: Database, site: Site) -> Iterator[Polls]:
    """Polls of the site."""
    with stepped(db) as scheduler:
        yield Polls(db, scheduler, site.url)
