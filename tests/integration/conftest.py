from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api import Api, running_api


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    """The web application on a fresh database, called with an operator's admin key."""
    with running_api(database_url) as running:
        yield running
