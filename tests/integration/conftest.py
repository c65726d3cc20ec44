from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.api import Api, running_api
from tests.support.factories import BOX
from tests.support.postgres import Databases
from tests.support.stepped_scheduler import SteppedScheduler, stepped


@pytest.fixture
def scheduler(db: Database) -> Iterator[SteppedScheduler]:
    """A started scheduler for stepping."""
    with stepped(db) as one:
        yield one


@pytest.fixture
def triggers(db: Database) -> Triggers:
    """The triggers service on the test's database."""
    return Triggers(db, BOX)


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    """The web application on a new database, called with an operator's admin key."""
    with running_api(database_url) as running:
        yield running


@pytest.fixture(scope="module")
def shared(databases: Databases) -> Iterator[Api]:
    """The application on a database that this module shares."""
    url = databases.create()
    with running_api(url) as api:
        yield api
    databases.drop(url)


@pytest.fixture(scope="module")
def agent_id(shared: Api) -> str:
    """The only agent."""
    return str(shared.agent("only")["id"])


@pytest.fixture
def nothing_is_made(shared: Api, agent_id: str) -> Iterator[None]:
    """Checks that refused requests left nothing behind."""
    yield
    assert [agent["id"] for agent in shared.get("/agents")["items"]] == [agent_id]
    assert shared.get("/triggers")["items"] == []
