"""A slow or silent client occupies no thread, and is disconnected in time. The short tests have only one thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psutil
import pytest

from api.server.connection_limits import Limits
from api.server.wsgi import THREADS, ConnectionTaken
from tests.support.api import Api
from tests.support.server import Served, read_all, serving
from tests.support.slow_clients import SlowClients
from tests.support.web import running_web

BIG = 16 * 1024 * 1024
HURRIED = Limits(head_seconds=0.6, body_seconds=2.0, grace_seconds=0.5, rate=1000.0, per_address=300)
POST = b"POST /in HTTP/1.1\r\nHost: x\r\n"


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Returns what was sent, as JSON; at /big a long answer."""
    if environ["PATH_INFO"] == "/big":
        start_response("200 OK", [("Content-Length", str(BIG))])
        return [b"x" * BIG]
    if environ["PATH_INFO"] == "/take":
        with environ["reveille.take_socket"]() as taken:
            taken.send(b"mine now")
        raise ConnectionTaken
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    body = json.dumps(seen | {"body": environ["wsgi.input"].read().decode("latin-1")}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture
def hurried() -> Iterator[Served]:
    with serving(echo, HURRIED) as served:
        yield served


def is_served(served: Served) -> bool:
    """Whether an ordinary request is answered, which needs the only thread."""
    return httpx.get(f"http://127.0.0.1:{served.port}/", timeout=20).status_code == 200


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nX-Slow: ",
        b"\r\n",
        POST + b"Content-Length: 5000\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT",
    ],
    ids=["head", "empty line", "body", "chunks", "second head"],
)
def test_a_client_that_trickles_is_answered_and_disconnected(hurried: Served, beginning: bytes) -> None:
    answer = hurried.ask(beginning)
    refusal = answer[answer.rindex(b"HTTP/1.1") :]
    assert status_of(refusal) == 408
    assert json.loads(refusal.partition(b"\r\n\r\n")[2])["title"] == "Request Timeout"


def test_sending_a_byte_now_and_then_does_not_extend_the_limit(hurried: Served) -> None:
    for beginning in (b"GET / HTTP/1.1\r\nX-Slow: ", POST + b"Content-Length: 5000\r\n\r\n"):
        with hurried.connect() as sock:
            sock.sendall(beginning)
            sock.settimeout(0.1)
            for _ in range(200):
                try:
                    answer = sock.recv(4096)
                except TimeoutError:
                    sock.sendall(b"x")
                else:
                    break
            assert status_of(answer) == 408


def test_a_silent_client_is_disconnected_without_a_response(hurried: Served) -> None:
    assert hurried.ask(b"") == b""


def test_a_client_that_never_reads_is_disconnected_and_holds_no_thread(hurried: Served) -> None:
    with ExitStack() as stack:
        deaf = [stack.enter_context(hurried.connect(receive_buffer=2048)) for _ in range(5)]
        for sock in deaf:
            sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert is_served(hurried)
        while any(guest.unsent for guest in hurried.gate.guests):
            assert is_served(hurried)
        assert all(len(read_all(sock)) < BIG for sock in deaf)


def test_a_client_that_is_fast_enough_is_served(hurried: Served) -> None:
    with hurried.connect() as sock:
        sock.sendall(POST + b"Content-Length: 6000\r\nConnection: close\r\n\r\n")
        sock.settimeout(0.1)
        for _ in range(5):
            sock.sendall(b"x" * 1000)
            with pytest.raises(TimeoutError):
                sock.recv(1)
        sock.settimeout(20)
        sock.sendall(b"x" * 1000)
        assert json.loads(read_all(sock).partition(b"\r\n\r\n")[2])["CONTENT_LENGTH"] == "6000"


def test_the_oldest_waiting_connection_of_an_address_is_closed() -> None:
    with serving(echo, Limits(per_address=5)) as served, ExitStack() as stack:
        silent = [stack.enter_context(served.connect()) for _ in range(20)]
        assert is_served(served)
        assert [read_all(sock) for sock in silent[:14]] == [b""] * 14
        silent[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert status_of(read_all(silent[-1])) == 200


def test_incomplete_bodies_share_one_limit() -> None:
    with serving(echo, Limits(held_bytes=300_000)) as served, ExitStack() as stack:
        slow = [stack.enter_context(served.connect()) for _ in range(5)]
        for sock in slow:
            sock.sendall(POST + b"Content-Length: 100001\r\n\r\n" + b"x" * 100_000)
            assert is_served(served)
        assert read_all(slow[0]) == b""
        assert served.gate.held <= 300_000


REFUSED = [
    (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 70_000, 431),
    (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01", 400),
    (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
]


@pytest.mark.parametrize(("request_", "status"), REFUSED, ids=[str(each) for _, each in REFUSED])
def test_what_the_server_refuses_is_a_problem(hurried: Served, request_: bytes, status: int) -> None:
    answer = hurried.ask(request_)
    assert status_of(answer) == status
    assert b"Content-Type: application/problem+json" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == status


def asked(served: Served, *headers: tuple[str, str], **options: Any) -> dict[str, Any]:
    answer = httpx.post(f"http://127.0.0.1:{served.port}/in", headers=list(headers), timeout=20, **options)
    seen = answer.json()
    assert isinstance(seen, dict)
    return seen


def test_a_header_with_an_underscore_arrives_but_replaces_no_other(hurried: Served) -> None:
    assert asked(hurried, ("X_Signature", "abc"))["HTTP_X_SIGNATURE"] == "abc"
    for both in ([("X_Sig", "mine"), ("X-Sig", "right")], [("X-Sig", "right"), ("X_Sig", "mine")]):
        assert asked(hurried, *both)["HTTP_X_SIG"] == "right"
    assert "HTTP_X_FORWARDED_FOR" not in asked(hurried, ("X_Forwarded_For", "1.2.3.4"))


def test_a_body_arrives_whole_and_its_length_is_told(hurried: Served) -> None:
    assert asked(hurried, content=iter([b"two ", b"chunks"]))["body"] == "two chunks"
    assert asked(hurried, content=iter([b"two ", b"chunks"]))["CONTENT_LENGTH"] == "10"
    too_long = asked(hurried, content=b"x" * (HURRIED.body_bytes + 1))
    assert (too_long["body"], too_long["CONTENT_LENGTH"]) == ("", str(HURRIED.body_bytes + 1))
    assert "CONTENT_LENGTH" not in httpx.get(f"http://127.0.0.1:{hurried.port}/", timeout=20).json()


def test_the_path_arrives_as_it_was_sent(hurried: Served) -> None:
    seen = json.loads(hurried.ask(b"GET /a%2Fb//%C3%BC?q=%20 HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[2])
    assert seen["RAW_URI"] == "/a%2Fb//%C3%BC?q=%20"
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/a/b//ü"


def test_a_socket_can_be_taken(hurried: Served) -> None:
    assert hurried.ask(b"GET /take HTTP/1.1\r\nHost: x\r\n\r\n") == b"mine now"
    assert is_served(hurried)


@pytest.mark.parametrize(("trusted", "seen"), [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.9")])
def test_forwarded_headers_count_only_from_trusted_proxies(trusted: str, seen: str) -> None:
    options: dict[str, Any] = {"proxy_headers": bool(trusted), "forwarded_allow_ips": trusted}
    with serving(echo, **options) as served:
        environ = asked(served, ("X-Forwarded-For", "10.9.9.9, 203.0.113.9"), ("X-Forwarded-Proto", "https"))
    assert environ["REMOTE_ADDR"] == seen
    assert environ["wsgi.url_scheme"] == ("https" if trusted else "http")


def test_five_hundred_slow_clients_block_no_others(api: Api, database_url: str) -> None:
    """The whole web process: it answers, accepts webhooks, and starts no thread for any of them."""
    hook = api.trigger(api.agent("ada")["id"], "hook", type="webhook", config={})["hook_url"]
    path = hook[hook.index("/hooks/") :]
    with running_web(database_url, env={"WEB_CONCURRENCY": "1"}) as web, SlowClients(web.port, 500):
        (worker,) = psutil.Process(web.process.pid).children()
        with httpx.Client(base_url=web.url, timeout=20) as client:
            assert [client.get("/healthz").status_code for _ in range(10)] == [200] * 10
            assert [client.post(path, json={"n": n}).status_code for n in range(5)] == [202] * 5
        assert worker.num_threads() <= THREADS + 8
