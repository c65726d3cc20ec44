"""The `http` runtime with a real server: what it sends, and the outcome of each answer."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, RunRequest, RuntimeSpec
from scheduler.domain.signatures import SignatureConfig, SignedRequest, verify
from scheduler.net.errors import parse_retry_after
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.registry import make_runtime
from tests.integration.net.net_servers import Exchange, never, serve
from tests.support.http_agents import answered, outcome_of, post
from tests.support.runs import SECRET, make_parts, make_request

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_it_sends_the_request_as_json_signed_by_standard_webhooks() -> None:
    request = make_request()

    async def run() -> Exchange:
        async with serve(answered("200 OK", b"done")) as server, make_parts() as parts:
            spec = RuntimeSpec("http", {"url": server.url}, SECRET, 120.0)
            assert await make_runtime(spec, parts).run(request) == Replied("done")
            [exchange] = server.exchanges
            return exchange

    exchange = asyncio.run(run())
    assert exchange.request_line == "POST / HTTP/1.1"
    assert exchange.headers["content-type"] == "application/json"
    assert exchange.headers["webhook-id"] == str(request.invocation_id)
    config = SignatureConfig(scheme="standard-webhooks", secret=SECRET)
    signed_at = datetime.fromtimestamp(int(exchange.headers["webhook-timestamp"]), UTC)
    verdict = verify(config, SignedRequest(exchange.headers, exchange.body), now=signed_at)
    assert verdict.accepted, verdict.reason
    assert RunRequest.model_validate_json(exchange.body) == request
    sent = json.loads(exchange.body)
    assert list(sent) == [
        "invocation_id",
        "attempt",
        "complete_url",
        "complete_token",
        "agent",
        "context",
        "firings",
    ]
    [firing] = sent["firings"]
    assert firing["fired_at"] == "2030-01-02T03:04:05Z"
    assert firing["payload"] == "héllo"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (answered("200 OK", b'{"reply": "hi"}', "Content-Type: application/json"), Replied("hi")),
        (answered("200 OK", b'{"reply": null}'), Replied("")),
        (answered("200 OK", b'{"reply": "hi", "acks": [{"a": 1}]}'), Replied("hi", acks=[{"a": 1}])),
        (answered("200 OK", b'{"acks": []}'), Replied("", acks=[])),
        (answered("200 OK", b'{"acks": "text"}'), Replied('{"acks": "text"}')),
        (answered("200 OK", b'{"reply": {"a": [1]}}'), Replied('{"a": [1]}')),
        (answered("201 Created", "grüß dich".encode()), Replied("grüß dich")),
        (answered("200 OK", b'{"other": 1}'), Replied('{"other": 1}')),
        (answered("200 OK", b"{not json"), Replied("{not json")),
        (answered("200 OK", b'{"a":' * 100_000), Replied('{"a":' * 100_000)),
        (answered("200 OK", b"\xff\xfe"), Replied("")),
        (answered("204 No Content"), Replied("")),
        (answered("202 Accepted", b"later"), Accepted()),
    ],
)
def test_a_success_is_the_reply_or_the_promise_of_one(answer: bytes, outcome: Outcome) -> None:
    assert outcome_of(answer) == outcome


@pytest.mark.parametrize(("accepted", "outcome"), [("done", Replied("later")), ("awaits", Accepted())])
def test_what_202_means_can_be_set(accepted: str, outcome: Outcome) -> None:
    async def run() -> Outcome:
        async with serve(answered("202 Accepted", b"later")) as server, make_parts() as parts:
            spec = RuntimeSpec("http", {"url": server.url, "accepted": accepted}, SECRET, 10.0)
            return await make_runtime(spec, parts).run(make_request())

    assert asyncio.run(run()) == outcome


def test_a_reply_of_ten_megabytes_is_cut_and_is_a_success() -> None:
    outcome = outcome_of(answered("200 OK", b"x" * 10_000_000))
    assert outcome == Replied("x" * 1024 * 1024, truncated=True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_temporary_failures_are_retried(status: int) -> None:
    outcome = outcome_of(answered(f"{status} Later", b"busy\nnow"))
    assert outcome == Failed(f"The agent answered HTTP {status}: busy now")


@pytest.mark.parametrize("status", [300, 301, 302, 304, 400, 401, 403, 404, 409, 410, 413, 422, 451])
def test_permanent_failures_are_not_retried(status: int) -> None:
    outcome = outcome_of(answered(f"{status} No", b"", "Location: http://127.0.0.1/"))
    assert outcome == Failed(f"The agent answered HTTP {status}.", permanent=True)


def test_the_wait_that_an_agent_asks_for_is_passed_on() -> None:
    assert outcome_of(answered("503 Later", b"", "Retry-After: 17")) == Failed(
        "The agent answered HTTP 503.", retry_after=17.0, was_put_off=True
    )


@pytest.mark.parametrize(
    ("status", "header", "was_put_off"),
    [
        ("429 Later", "Retry-After: 1", True),
        ("503 Later", "Retry-After: 0", True),
        ("429 Later", "X: 1", False),
        ("503 Later", "Retry-After: soon", False),
        ("500 Broken", "Retry-After: 1", False),
    ],
)
def test_a_response_that_says_when_to_come_back_is_no_failure(status: str, header: str, was_put_off: bool) -> None:
    outcome = outcome_of(answered(status, b"", header))
    assert isinstance(outcome, Failed)
    assert outcome.was_put_off is was_put_off


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        ("Wed, 02 Jan 2030 03:03:05 -0000", -60.0),
        ("soon", None),
        ("-5", None),
        ("1.5", 1.5),
        ("1, 30", 30.0),
        ("soon, 7", 7.0),
        ("2030-01-02T03:05:05Z", 60.0),
        ("1e3", None),
        ("Wed, 02 Jan 2030 03:03:05 +99999999999999", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


def test_an_agent_that_hangs_is_given_up_at_its_timeout() -> None:
    outcome = outcome_of(never, timeout=0.2)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("timeout", False)


def test_an_agent_whose_body_never_ends_is_given_up_at_its_timeout() -> None:
    async def drip(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await exchange.send(b".")
            await asyncio.sleep(0.01)

    outcome = outcome_of(drip, timeout=0.3)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("timeout", False)


@pytest.mark.parametrize(
    "answer", [b"", b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"]
)
def test_an_answer_that_breaks_off_is_retried(answer: bytes) -> None:
    outcome = outcome_of(answer)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("failed", False)


def test_an_agent_that_is_not_there_is_retried() -> None:
    async def run() -> Outcome:
        async with serve(b"") as server:
            url = server.url
        return await post(url)

    outcome = asyncio.run(run())
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert "No connection" in outcome.error


def test_a_host_that_does_not_resolve_is_retried() -> None:
    outcome = asyncio.run(post("http://agent.invalid/"))
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert "agent.invalid" in outcome.error


def test_a_private_address_that_the_operator_did_not_open_is_a_permanent_failure() -> None:
    async def run() -> tuple[Outcome, int]:
        async with serve(answered("200 OK")) as server:
            return await post(server.url, allow=AllowedPrivate()), len(server.exchanges)

    outcome, requests = asyncio.run(run())
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "REVEILLE_ALLOW_PRIVATE_HOSTS" in outcome.error
    assert requests == 0


@pytest.mark.parametrize(
    "spec",
    [
        RuntimeSpec("http", {}, SECRET, 10.0),
        RuntimeSpec("http", {"url": 5}, SECRET, 10.0),
        RuntimeSpec("http", {"url": "http://a.example"}, None, 10.0),
        RuntimeSpec("carrier-pigeon", {}, None, 10.0),
    ],
)
def test_settings_that_cannot_be_run_are_a_configuration_error(spec: RuntimeSpec) -> None:
    async def run() -> None:
        async with make_parts() as parts:
            make_runtime(spec, parts)

    with pytest.raises(ConfigurationError):
        asyncio.run(run())


def test_a_secret_that_cannot_sign_ends_the_invocation() -> None:
    async def run() -> Outcome:
        async with make_parts() as parts:
            spec = RuntimeSpec("http", {"url": "http://127.0.0.1:9/"}, "whsec_é", 10.0)
            return await make_runtime(spec, parts).run(make_request())

    outcome = asyncio.run(run())
    assert isinstance(outcome, Failed)
    assert outcome.permanent
