"""Polls under test: a scripted site on loopback, and the real path from a due slot to its result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from scheduler.domain.clock import SystemClock
from scheduler.domain.ids import new_id
from scheduler.intake.polls.check import Poller
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import TriggerView
from tests.integration.net.net_servers import Exchange, Handler, serve
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent, make_due
from tests.support.stepped_scheduler import SteppedScheduler

ONLY_127_0_0_1 = AllowedPrivate.parse("127.0.0.1")

Looks = list[tuple[UUID, int]]


def answered(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """Builds a complete answer; `last_modified` is the header Last-Modified."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines, "", ""]).encode() + body


def json_answer(value: object, **headers: str) -> bytes:
    """Builds a 200 with `value` as JSON."""
    return answered(body=json.dumps(value).encode(), **headers)


class Site:
    """A server in its own thread. `answer` is what the next request gets; `seen` holds the requests."""

    def __init__(self) -> None:
        self.answer: bytes | Handler = json_answer(1)
        self.seen: list[Exchange] = []
        self.url = ""

    async def talk(self, exchange: Exchange) -> None:
        """Answers one request."""
        self.seen.append(exchange)
        await (exchange.send(self.answer) if isinstance(self.answer, bytes) else self.answer(exchange))

    def says(self, value: object, **headers: str) -> None:
        """Sets `value` as the answer from now on."""
        self.answer = json_answer(value, **headers)


@contextmanager
def running_site() -> Iterator[Site]:
    """Runs a site on a free port of 127.0.0.1."""
    site, loop = Site(), asyncio.new_event_loop()
    server = serve(site.talk)

    async def start() -> None:
        site.url = (await server.__aenter__()).url

    async def stop() -> None:
        await server.__aexit__(None, None, None)

    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield site
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Polls:
    """The polls of one agent; a test runs each of their checks."""

    def __init__(self, db: Database, scheduler: SteppedScheduler, url: str) -> None:
        self.db = db
        self.url = url
        self.triggers = Triggers(db, BOX, ONLY_127_0_0_1)
        self.agent_id = make_agent(db)
        self._scheduler = scheduler

    def make(self, config: Mapping[str, Any] | None = None, **values: Any) -> TriggerView:
        """Creates a poll of the site."""
        whole = {"url": self.url, "json_path": "$", **(config or {})}
        spec = TriggerSpec(name=f"p{new_id().hex[-8:]}", type="poll", config=whole, **values)
        return self.triggers.create(DEFAULT_TENANT, self.agent_id, spec, actor="test").trigger

    def edit(self, poll: TriggerView, **patch: Any) -> TriggerView:
        """Changes a poll as a person would."""
        return self.triggers.update(DEFAULT_TENANT, poll.id, patch, actor="test")

    def get(self, poll: TriggerView) -> TriggerView:
        """Returns a poll as it is now."""
        return self.triggers.get(DEFAULT_TENANT, poll.id)

    def queue(self, *polls: TriggerView) -> list[Looks]:
        """Makes polls due and runs a pass; returns the jobs that it queued, removed from the queue."""
        for poll in polls:
            make_due(self.db, poll.id)
        return self.pass_over()

    def pass_over(self) -> list[Looks]:
        """Runs a pass of the scheduler; returns the check jobs in the queue, removed from it."""
        self._scheduler.run_pass()
        query = "DELETE FROM procrastinate_jobs WHERE queue_name = 'io' RETURNING id, args"
        jobs = sorted(self.rows(query), key=lambda job: job.id)
        return [[(UUID(each), version) for each, version in job.args["polls"]] for job in jobs]

    def check(self, *jobs: Looks) -> None:
        """Runs queued jobs as a worker does, all at once."""
        asyncio.run(check(self.db, *jobs))

    def look(self, *polls: TriggerView) -> None:
        """Runs a complete check of each."""
        self.check(*self.queue(*polls))

    def rows(self, query: str, **values: object) -> list[Row[Any]]:
        """Returns the rows of a query."""
        with self.db.begin() as conn:
            return list(conn.execute(text(query), values))

    def state(self, poll: TriggerView) -> Row[Any]:
        """Returns the state that is stored between checks."""
        (state,) = self.rows("SELECT * FROM poll_states WHERE trigger_id = :id", id=poll.id)
        return state

    def data(self, poll: TriggerView) -> list[dict[str, Any]]:
        """Returns the data of a poll's firings, oldest first."""
        query = "SELECT data FROM firings WHERE trigger_id = :id ORDER BY id"
        return [row.data for row in self.rows(query, id=poll.id)]

    def audited(self, poll: TriggerView) -> list[str]:
        """Returns a poll's audit events except its creation, oldest first."""
        query = (
            "SELECT action FROM audit_events WHERE subject_id = :id AND action <> 'trigger.created' ORDER BY id"
        )
        return [row.action for row in self.rows(query, id=poll.id)]


async def check(db: Database, *jobs: Looks) -> None:
    """Runs check jobs concurrently with one client, as a worker does."""
    async with GuardedClient(allow_private=ONLY_127_0_0_1) as client:
        poller = Poller(db, BOX, client, SystemClock(), ONLY_127_0_0_1)
        try:
            await asyncio.gather(*map(poller.check, jobs))
        finally:
            poller.close()
