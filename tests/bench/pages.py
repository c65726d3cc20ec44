"""Measures the server's time for each list page: a long history and a short one, in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from api.web.now import PICTURES, Pictures
from tests.bench.history import populate_history
from tests.support.api import running_api
from tests.support.database import rows
from tests.support.pages import Browser, signed_in
from tests.support.postgres import Databases

ROUNDS = 15
PATHS = (
    "/",
    "/triggers",
    "/agents",
    "/agents/{agent}",
    "/invocations",
    "/invocations?state=dead",
    "/invocations?agent_id={agent}",
    "/invocations/{invocation}",
    "/sessions",
    "/sessions?agent_id={agent}",
    "/deliveries",
    "/deliveries?state=refused",
    "/deliveries?trigger_id={trigger}",
    "/dead",
    "/approvals",
    "/audit",
    "/audit?action=agent.created",
    "/audit?action=agent",
)


@dataclass(frozen=True)
class PageTime:
    """Milliseconds for one page, medians; `ratio` compares the two within each round."""

    path: str
    short: float
    long: float
    ratio: float


@dataclass(frozen=True)
class _Site:
    browser: Browser
    names: dict[str, str]
    pictures: Pictures

    def milliseconds(self, path: str) -> float:
        self.pictures._kept.clear()  # the picture of Now is cached for a second; here it is always rebuilt
        start = time.perf_counter()
        self.browser.get(path.format(**self.names))
        return (time.perf_counter() - start) * 1000


def page_times(databases: Databases, few: int = 1_000, many: int = 100_000, each: int = 10) -> list[PageTime]:
    """Measures with `few` triggers of one firing, and with `many` triggers of `each` firings."""
    with ExitStack() as stack:
        short = stack.enter_context(_site(databases, few, 1))
        long = stack.enter_context(_site(databases, many, each))
        return [_compared(path, short, long) for path in PATHS]


def _compared(path: str, short: _Site, long: _Site) -> PageTime:
    short.milliseconds(path), long.milliseconds(path)  # warms everything up
    times = [(short.milliseconds(path), long.milliseconds(path)) for _ in range(ROUNDS)]
    return PageTime(
        path,
        statistics.median(each[0] for each in times),
        statistics.median(each[1] for each in times),
        statistics.median(each[1] / each[0] for each in times),
    )


@contextmanager
def _site(databases: Databases, triggers: int, firings_each: int) -> Iterator[_Site]:
    url = databases.create()
    with running_api(url) as api:
        populate_history(api.db, triggers, firings_each)
        [row] = rows(
            api.db,
            "SELECT agent_id AS agent, id AS invocation,"
            " (SELECT id FROM triggers t WHERE t.agent_id = i.agent_id ORDER BY id LIMIT 1) AS trigger"
            " FROM invocations i ORDER BY id DESC LIMIT 1",
        )
        names = {name: str(value) for name, value in row._mapping.items()}
        yield _Site(signed_in(api), names, api.app.extensions[PICTURES])
    databases.drop(url)
