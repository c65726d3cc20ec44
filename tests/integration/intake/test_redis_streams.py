"""queue with Debian's Redis: entries are acknowledged after their firing, and none fires twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.triggers.base import CheckContext, parse_config, split_secrets
from scheduler.triggers.looks import CheckResult
from scheduler.triggers.queue import QueueConfig
from scheduler.triggers.queues import redis_stream
from scheduler.triggers.queues.base import Meter, QueueUnreadable
from tests.support.certificates import certificate
from tests.support.check_resources import check_resources
from tests.support.redis_server import RedisServer, redis_server
from tests.unit.test_poll_config import NOW

DOCS = Path(__file__).parents[3] / "docs/triggers/queue.md"
MOST = 2 * 1024 * 1024
"""How many bytes a check reads in the test of large entries."""
WAYS = replace(check_resources(address_of=lambda _host, _port: "127.0.0.1"), trigger_id=uuid4())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Redis."""
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


class Consumer:
    """A trigger whose checks the test runs."""

    def __init__(self, server: RedisServer, **config: Any) -> None:
        self.redis, self.stream, self.cursor = server.client, f"s{uuid4().hex[:6]}", None
        given = {"url": f"redis://localhost:{server.port}", "password": "pw", "stream": self.stream}
        self._config = parse_config(QueueConfig, given | config, CheckContext(NOW))
        self.ways = replace(WAYS, trigger_id=uuid4())

    def add(self, *values: str) -> list[Any]:
        """Add entries."""
        return [self.redis.xadd(self.stream, {"n": each}) for each in values]

    def look(self, *, is_stored: bool = True, is_acknowledged: bool = True) -> CheckResult:
        """Runs a check; the worker may end before the result is stored, or before it is acknowledged."""
        assert isinstance(self._config, QueueConfig)
        seen = self._config.look_with(self.cursor, self.ways)
        if is_stored:
            self.cursor = json.loads(json.dumps(seen.cursor))
            if is_acknowledged and seen.settled:
                seen.settled([each.key for each in seen.occurrences])
        return seen

    def pending(self) -> int:
        """Returns the number of entries that were taken and not acknowledged."""
        (group,) = self.redis.xinfo_groups(self.stream)
        return int(group["pending"])


def values(seen: CheckResult) -> list[Any]:
    return [each.data["fields"]["n"] for each in seen.occurrences]


def keys(*seen: CheckResult) -> Sequence[str]:
    return [each.key for look in seen for each in look.occurrences]


@pytest.fixture
def consumer(server: RedisServer) -> Consumer:
    """A consumer of an existing stream, before its first check."""
    made = Consumer(server)
    made.add("old")
    return made


def test_what_comes_is_taken_once_and_acknowledged_once_it_is_stored(consumer: Consumer) -> None:
    assert consumer.look().occurrences == []
    ids = consumer.add("1", "2")
    seen = consumer.look(is_acknowledged=False)
    assert values(seen) == ["1", "2"]
    assert [each.data["id"] for each in seen.occurrences] == ids
    assert consumer.pending() == 2
    assert seen.settled is not None
    seen.settled(keys(seen)[:1])
    assert consumer.pending() == 1
    again = consumer.look()
    assert keys(again) == keys(seen)[1:]
    assert (consumer.pending(), consumer.look().occurrences) == (0, [])


def test_what_a_worker_left_is_the_same_firing(consumer: Consumer) -> None:
    consumer.look()
    consumer.add("1", "2")
    lost = consumer.look(is_stored=False)
    consumer.add("3")
    again = consumer.look()
    assert values(again) == ["1", "2", "3"]
    assert keys(again)[:2] == keys(lost)
    assert again.note is None
    assert consumer.pending() == 0


def test_a_stream_that_is_not_there_yet_is_waited_for(server: RedisServer) -> None:
    consumer = Consumer(server)
    assert consumer.look().occurrences == []
    consumer.add("first")
    assert values(consumer.look()) == ["first"]


def test_a_start_with_all_takes_what_is_there(server: RedisServer) -> None:
    consumer = Consumer(server, start="all")
    consumer.add(*map(str, range(103)))
    first = consumer.look()
    second = consumer.look()
    assert (len(first.occurrences), first.more) == (100, True)
    assert (values(second), second.more) == (["100", "101", "102"], False)


def test_what_another_consumer_left_is_taken_over(server: RedisServer) -> None:
    consumer = Consumer(server, group="workers", claim_seconds=1.0)
    consumer.add("1", "2")
    consumer.redis.xgroup_create(consumer.stream, "workers", "0")
    consumer.redis.xreadgroup("workers", "gone", {consumer.stream: ">"}, count=1)
    assert values(consumer.look()) == ["2"]
    consumer.redis.execute_command(  # as if it had been taken long ago
        "XCLAIM", consumer.stream, "workers", "gone", 0, consumer.redis.xrange(consumer.stream)[0][0], "IDLE", 5000
    )
    assert values(consumer.look()) == ["1"]
    assert consumer.pending() == 0


def test_a_trimmed_stream_is_reported(consumer: Consumer) -> None:
    consumer.look()
    consumer.add("1", "2")
    consumer.look(is_stored=False)
    consumer.redis.xtrim(consumer.stream, 0, approximate=False)
    seen = consumer.look()
    assert (seen.occurrences, seen.note) == (
        [],
        "2 entries were removed from the stream before they could be read.",
    )
    assert consumer.pending() == 0
    consumer.add("3", "4", "5")
    consumer.redis.xtrim(consumer.stream, 1, approximate=False)
    seen = consumer.look()
    assert (values(seen), (seen.note or "")[:9]) == (["5"], "4 entries")
    assert (consumer.look().note or "")[:9] == "4 entries"


def test_a_lost_group_goes_on_where_it_was_and_a_new_stream_is_read_whole(consumer: Consumer) -> None:
    consumer.look()
    consumer.add("1")
    first = consumer.look()
    consumer.add("2")
    consumer.redis.xgroup_destroy(consumer.stream, f"reveille-{consumer.ways.trigger_id}")
    again = consumer.look()
    assert (values(again), keys(again)[0]) == (["1", "2"], keys(first)[0])
    consumer.redis.delete(consumer.stream)
    consumer.redis.xadd(consumer.stream, {"n": "3"}, id="1-1")
    assert values(consumer.look()) == ["3"]
    consumer.redis.delete(consumer.stream)
    consumer.redis.xadd(consumer.stream, {"n": "4"}, id="1-1")
    seen = consumer.look()
    assert values(seen) == ["4"]


def test_entries_that_cannot_be_read_stop_nothing(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_stream, "Meter", lambda: Meter(MOST))
    consumer.look()
    redis, stream = consumer.redis, consumer.stream
    redis.xadd(stream, {b"\xff": b"\xfe\x00", "nul": "a\0b", "": ""})
    redis.execute_command("XADD", stream, "*", "a", "1", "a", "2")
    redis.xadd(stream, {"long": "ä" * 700_000})
    redis.xadd(stream, {f"f{n}": "x" for n in range(20_000)})
    large = redis.xadd(stream, {"n": b"x" * (MOST + 1)})
    redis.xadd(stream, {"n": "last"})
    found: list[Any] = []
    for _ in range(8):
        found += consumer.look().occurrences
    assert len(found) == len({each.key for each in found}) == 6
    first, doubled, long, many, unread, last = (each.data for each in found)
    assert first["fields"] == {"\ufffd": {"base64": "/gA="}, "nul": "a\0b", "": ""}
    assert doubled["fields"] == {"a": ["1", "2"]}
    assert (len(json.dumps(long["fields"], ensure_ascii=False)) < 49_000, long["document_cut"]) == (True, True)
    assert len(found[2].documents[0].body) == 1024 * 1024
    assert 0 < len(many["fields"]) < 20_000
    assert len(json.loads(found[3].documents[0].body)) == 20_000
    assert (unread["id"], "larger than" in unread["unread"]) == (large, True)
    assert last["fields"] == {"n": "last"}
    assert consumer.pending() == 0


def test_a_try_takes_nothing(consumer: Consumer) -> None:
    consumer.ways = replace(consumer.ways, trigger_id=None)
    seen = consumer.look()
    assert (seen.shown["entries"], seen.occurrences) == (1, ())
    assert consumer.redis.xinfo_groups(consumer.stream) == []


def test_an_unavailable_server_is_reported_and_loses_nothing(server: RedisServer, consumer: Consumer) -> None:
    consumer.look()
    consumer.add("1")
    server.stop()
    with pytest.raises(QueueUnreadable, match="No connection to localhost"):
        consumer.look()
    server.start()
    assert values(consumer.look()) == ["1"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"password": "no"}, "refuses the user or the password"), ({"username": "eve"}, "refuses the user")],
)
def test_a_missing_permission_is_reported(server: RedisServer, wrong: dict[str, str], why: str) -> None:
    with pytest.raises(QueueUnreadable, match=why):
        Consumer(server, **wrong).look()


def test_a_key_that_is_not_a_stream_is_reported(server: RedisServer) -> None:
    consumer = Consumer(server)
    consumer.redis.set(consumer.stream, "a text")
    with pytest.raises(QueueUnreadable, match="WRONGTYPE"):
        consumer.look()


def test_a_user_with_only_the_documented_rights_reads_with_tls(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = certificate(tmp_path)
    url = server.listen_with_tls(trusted)
    rights = re.findall(r"`([A-Z]+)`", DOCS.read_text().split("The user needs")[1].split("\n\n")[0])
    least = ["+" + each.lower() for each in rights]
    server.client.execute_command("ACL", "SETUSER", "least", "on", ">few", "-@all", "~s*", *least)
    given = {"url": url, "username": "least", "password": "few"}
    with pytest.raises(QueueUnreadable, match="certificate"):
        Consumer(server, **given).look()
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setattr(redis_stream, "Meter", lambda: Meter(MOST))
    server.client.config_resetstat()
    Consumer(server, **given | {"url": f"{url}/1"}).look()
    consumer = Consumer(server, **given)
    consumer.look()
    consumer.add("1")
    assert values(consumer.look()) == ["1"]
    consumer.redis.xgroup_destroy(consumer.stream, f"reveille-{consumer.ways.trigger_id}")
    consumer.add("2")
    assert values(consumer.look()) == ["1", "2"]
    consumer.add("x" * (MOST + 1))
    assert "larger than" in consumer.look().occurrences[0].data["unread"]
    consumer.ways = replace(consumer.ways, trigger_id=None)
    assert consumer.look().shown["entries"] == 3
    used = {each.split("|")[0].removeprefix("cmdstat_").upper() for each in server.client.info("commandstats")}
    assert set(rights) <= used


GIVEN = {"url": "redis://queue.example.org", "stream": "s", "password": "p"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "http://queue.example.org"}, "url"),
        ({"url": "redis://"}, "url"),
        ({"url": "redis://[half"}, "url"),
        ({"url": "redis://h:99999"}, "url"),
        ({"url": "redis://eve:secret@h"}, "url"),
        ({"url": "redis://h/orders"}, "url"),
        ({"url": "redis://h/0?x=1"}, "url"),
        ({"stream": ""}, "stream"),
        ({"username": "a", "password": None}, "password"),
        ({"start": "old"}, "start"),
        ({"claim_seconds": 0.0}, "claim_seconds"),
    ],
)
def test_a_wrong_field_is_named(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_config(QueueConfig, GIVEN | wrong, CheckContext(NOW))
    assert refused.value.field == f"config.{field}"
    assert "secret@" not in refused.value.message


def test_the_password_is_a_secret_and_another_one_restarts_nothing() -> None:
    assert split_secrets(QueueConfig, GIVEN)[1] == {"password": "p"}
    before, after = (QueueConfig.model_validate(GIVEN | {"password": each}) for each in "ab")
    assert before.fingerprint() == after.fingerprint()
