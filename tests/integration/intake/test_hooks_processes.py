"""Webhooks in real web processes: over real connections, in several processes, killed at any moment."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from uuid import UUID

import httpx
import pytest

from api.server.connection_limits import DEFAULTS
from tests.support.api import Api
from tests.support.hooks import NO_LIMIT, make_hook
from tests.support.web import Web, running_web

TEN_MEGABYTES = 10 * 1024 * 1024


@pytest.fixture
def webs(database_url: str) -> Iterator[tuple[Web, Web]]:
    """Two web processes on the test's database."""
    with ExitStack() as stack:
        yield stack.enter_context(running_web(database_url)), stack.enter_context(running_web(database_url))


@pytest.fixture
def web(database_url: str) -> Iterator[Web]:
    """A web process on the test's database."""
    with running_web(database_url) as running:
        yield running


def post_together(webs: tuple[Web, Web], path: str, ids: list[str]) -> list[httpx.Response]:
    """Makes one delivery for each id, all at once, alternating between both processes."""
    urls = itertools.cycle(web.url + path for web in webs)
    with httpx.Client(timeout=30) as client, ThreadPoolExecutor(len(ids)) as pool:
        return list(
            pool.map(
                lambda pair: client.post(pair[0], content=b"{}", headers={"Idempotency-Key": pair[1]}),
                zip(urls, ids, strict=False),
            )
        )


def test_one_id_posted_at_once_to_two_processes_is_one_firing(api: Api, webs: tuple[Web, Web]) -> None:
    """Twenty at once: all get the same firing, one of them as new."""
    hook = make_hook(api, rate=NO_LIMIT)
    answers = [response.json() for response in post_together(webs, hook.path, ["same"] * 20)]
    assert len({answer["firing_id"] for answer in answers}) == 1
    assert Counter(answer["duplicate"] for answer in answers) == {True: 19, False: 1}
    assert len(hook.firings()) == 1


def test_two_processes_count_one_rate(api: Api, webs: tuple[Web, Web]) -> None:
    """Of forty at once with a limit of ten, exactly ten are accepted, and the others are told when to retry."""
    hook = make_hook(api, rate=10)
    responses = post_together(webs, hook.path, [str(each) for each in range(40)])
    assert Counter(response.status_code for response in responses) == {202: 10, 429: 30}
    assert all(1 <= int(each.headers["Retry-After"]) <= 60 for each in responses if each.status_code == 429)
    assert len(hook.firings()) == 10


def test_a_huge_body_is_refused_unread(web: Web) -> None:
    """The response arrives while the sender still holds back its 10 MB, and the connection ends."""
    with web.connect() as sender:
        sender.sendall(b"POST /hooks/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % TEN_MEGABYTES)
        assert sender.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_huge_chunked_body_is_refused_after_the_servers_limit(web: Web) -> None:
    """Without a Content-Length, the limit is noticed while reading; the rest is not waited for."""
    with web.connect() as sender:
        sender.sendall(b"POST /hooks/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        sender.sendall(b"%x\r\n" % TEN_MEGABYTES + b"x" * (DEFAULTS.body_bytes + 1))
        assert sender.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_small_chunked_body_is_taken(api: Api, web: Web) -> None:
    """Chunks are put together."""
    hook = make_hook(api)
    response = httpx.post(web.url + hook.path, content=iter([b"one ", b"two"]))
    assert response.status_code == 202
    assert [firing.payload for firing in hook.firings()] == [b"one two"]


def test_whatever_was_answered_202_survives_kill_9(api: Api, database_url: str) -> None:
    """Eight senders, and the process killed meanwhile: every accepted delivery is stored, and a retry does not
    double it.
    """
    hook = make_hook(api, rate=NO_LIMIT)
    told: dict[str, str] = {}
    unsure: list[str] = []
    enough = Event()

    def send(url: str, sender: int) -> None:
        with httpx.Client(timeout=30) as client:
            for number in itertools.count():
                name = f"{sender}-{number}"
                try:
                    response = client.post(url, headers={"Idempotency-Key": name})
                except httpx.TransportError:
                    unsure.append(name)
                    return
                told[name] = response.json()["firing_id"]
                if len(told) >= 100:
                    enough.set()

    with running_web(database_url) as web, ThreadPoolExecutor(8) as pool:
        for sender in range(8):
            pool.submit(send, web.url + hook.path, sender)
        assert enough.wait(60)
        web.kill()
    recorded = {firing.occurrence_key: firing.id for firing in hook.firings()}
    assert {name: UUID(firing_id) for name, firing_id in told.items()}.items() <= {
        key.removeprefix("delivery:idempotency-key:"): firing_id for key, firing_id in recorded.items()
    }.items()
    assert len(unsure) == 8
    with running_web(database_url) as web:
        for name in unsure:
            assert httpx.post(web.url + hook.path, headers={"Idempotency-Key": name}).status_code == 202
    assert len(hook.firings()) == len(told) + len(unsure)
