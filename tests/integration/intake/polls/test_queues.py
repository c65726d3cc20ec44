"""Queue entries, all the way from a due slot: a firing for each, acknowledged after the commit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from scheduler.domain.retention import History
from scheduler.intake.polls.custom_checks import CustomChecker
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.read_models.triggers import TriggerView
from scheduler.storage.retention import remove_old
from tests.support.factories import DEFAULT_TENANT
from tests.support.polls import Polls
from tests.support.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Redis."""
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


class Stream:
    """A trigger that consumes a stream."""

    def __init__(self, polls: Polls, redis: RedisServer, **values: Any) -> None:
        self.name, self._polls, self.redis = f"s{uuid4().hex[:6]}", polls, redis.client
        self.redis.xadd(self.name, {"n": "before"})
        config = {"url": f"redis://127.0.0.1:{redis.port}", "password": "pw", "stream": self.name}
        spec = TriggerSpec(name=self.name, type="queue", config=config, cooldown_seconds=0, **values)
        self.trigger: TriggerView = polls.triggers.create(
            DEFAULT_TENANT, polls.agent_id, spec, actor="test"
        ).trigger
        polls.look(self.trigger)

    def add(self, *values: str) -> None:
        """Adds entries."""
        for each in values:
            self.redis.xadd(self.name, {"n": each})

    def fired(self) -> list[str]:
        """Returns what it fired with, oldest first."""
        return [each["fields"]["n"][:10] for each in self._polls.data(self.trigger)]

    def pending(self) -> int:
        """Returns the number of entries that are not acknowledged."""
        return int(self.redis.xinfo_groups(self.name)[0]["pending"])


def test_each_entry_fires_once_and_is_acknowledged(polls: Polls, redis: RedisServer) -> None:
    stream = Stream(polls, redis)
    stream.add("1", "2")
    polls.look(stream.trigger)
    assert (stream.fired(), stream.pending()) == (["1", "2"], 0)
    polls.look(stream.trigger)
    assert len(stream.fired()) == 2
    assert polls.get(stream.trigger).fire_count == 2
    assert json.dumps(polls.get(stream.trigger).config).count("pw") == 0


def test_a_worker_that_ends_between_commit_and_acknowledgement_doubles_nothing(
    polls: Polls, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream(polls, redis)
    stream.add("1", "2")

    async def end(*_: object) -> None:
        """Ends the worker."""

    with monkeypatch.context() as patched:
        patched.setattr(CustomChecker, "tell_settled", end)
        polls.look(stream.trigger)
    assert (stream.fired(), stream.pending()) == (["1", "2"], 2)
    stream.add("3")
    polls.look(stream.trigger)
    assert (stream.fired(), stream.pending()) == (["1", "2", "3"], 0)
    assert polls.get(stream.trigger).fire_count == 3


def test_what_is_not_committed_stays_in_the_stream(polls: Polls, redis: RedisServer) -> None:
    stream = Stream(polls, redis)
    stream.add("1")
    queued = polls.queue(stream.trigger)
    polls.edit(stream.trigger, reason="Another.")  # the result of the check is now invalid
    polls.check(*queued)
    polls.triggers.update(DEFAULT_TENANT, stream.trigger.id, {"is_enabled": False}, actor="test")
    assert stream.pending() in (0, 1)
    polls.triggers.update(DEFAULT_TENANT, stream.trigger.id, {"is_enabled": True}, actor="test")
    polls.look(stream.trigger)
    assert (stream.fired(), stream.pending()) == (["1"], 0)


def test_no_more_than_max_fires_are_taken_from_the_stream(polls: Polls, redis: RedisServer) -> None:
    stream = Stream(polls, redis, max_fires=2)
    stream.add("1", "2", "3")
    polls.look(stream.trigger)
    assert (stream.fired(), stream.pending()) == (["1", "2"], 1)
    assert not polls.get(stream.trigger).is_enabled


def test_a_full_look_is_followed_by_another_at_once(polls: Polls, redis: RedisServer) -> None:
    stream = Stream(polls, redis)
    stream.add(*map(str, range(101)))
    polls.look(stream.trigger)
    assert len(stream.fired()) == 100
    polls.check(*polls.pass_over())
    assert (len(stream.fired()), stream.pending()) == (101, 0)


def test_a_server_that_is_unavailable_is_audited_once_and_tried_less_often(
    polls: Polls, redis: RedisServer
) -> None:
    stream = Stream(polls, redis)
    stream.add("1")
    redis.stop()
    try:
        for _ in range(6):
            polls.look(stream.trigger)
        (wait,) = polls.rows(
            "SELECT extract(epoch FROM next_run_time - clock_timestamp()) AS s FROM jobs WHERE trigger_id = :id",
            id=stream.trigger.id,
        )
        assert 20 < wait.s < 40
        assert polls.audited(stream.trigger) == ["trigger.look_failed"]
    finally:
        redis.start()
    polls.look(stream.trigger)
    assert polls.audited(stream.trigger) == ["trigger.look_failed", "trigger.look_recovered"]
    assert stream.fired() == ["1"]


def test_a_large_entry_is_kept_beside_its_firing_and_goes_with_it(polls: Polls, redis: RedisServer) -> None:
    stream = Stream(polls, redis)
    stream.add("x" * 100_000)
    polls.look(stream.trigger)
    (kept,) = polls.rows("SELECT number, name, content_type, octet_length(body) AS size FROM firing_documents")
    assert (kept.number, kept.content_type, kept.size) == (1, "application/json", 100_009)
    polls.rows("UPDATE firings SET state = 'delivered', fired_at = '2020-01-01' RETURNING 1")
    with polls.db.begin() as conn:
        assert remove_old(conn, History.FIRINGS, 30)
    assert polls.rows("SELECT FROM firing_documents") == []
