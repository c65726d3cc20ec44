"""What strangers, proxies and handlers do to the client."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from reveille import ApiError, AsyncWakes, ConnectionFailed, Reveille, SignatureError, Wakes, verify
from standardwebhooks import Webhook

from tests.unit.test_client_wakes import SECRET, call_of, signed


@pytest.mark.parametrize(
    "forged",
    [
        {"Webhook-Signature": "v1,a"},
        {"Webhook-Signature": "v1,é"},
        {"Webhook-Signature": "no comma"},
        {"Webhook-Signature": "v2,AAAA"},
        {"Webhook-Timestamp": "soon"},
        {"Webhook-Timestamp": "nan"},
        {"Webhook-Timestamp": "9" * 400},
        {"Webhook-Timestamp": "4102444800"},
        {"Webhook-Id": "another"},
    ],
    ids=["odd", "not ASCII", "shapeless", "another version", "word", "nan", "huge", "the future", "another id"],
)
def test_a_forged_header_is_answered_by_401(forged: dict[str, str]) -> None:
    headers, body = signed(call_of(1))
    with pytest.raises(SignatureError):
        verify(headers | forged, body, SECRET)
    assert Wakes(lambda _: "ran", SECRET).answer(headers | forged, body)[0] == 401


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_*", ["whsec_*"]], ids=["none", "empty", "odd", "in a list"]
)
def test_a_secret_that_cannot_sign_is_refused_before_the_first_call(secret: Any) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        Wakes(lambda _: "", secret)


def test_a_call_without_an_id_is_refused() -> None:
    at, body = datetime.now(UTC), '{"input": 1}'  # noqa: TID251  # the library compares with the real clock
    headers = {"webhook-id": "i", "webhook-timestamp": str(int(at.timestamp()))}
    headers["webhook-signature"] = Webhook(SECRET).sign("i", at, body)
    status, answer = Wakes(lambda _: "ran", SECRET).answer(headers, body.encode())
    assert status == 400
    assert "invocation_id" in answer["error"]


@pytest.mark.parametrize("reply", [object(), {1, 2}, b"bytes"], ids=["object", "set", "bytes"])
def test_a_reply_that_is_no_json_is_a_failure_that_says_so(reply: Any) -> None:
    status, answer = Wakes(lambda _: reply, SECRET).answer(*signed(call_of(1)))
    assert status == 500
    assert "not JSON serializable" in answer["error"]


def test_a_handler_that_exits_is_a_failure_not_a_wait() -> None:
    def leave(_: object) -> None:
        raise SystemExit(3)

    status, answer = Wakes(leave, SECRET).answer(*signed(call_of(1)))
    assert (status, answer["error"]) == (500, "SystemExit: 3")


def test_a_coroutine_is_refused_where_a_function_is_needed() -> None:
    async def answer(_: object) -> str:
        return "never"

    with pytest.raises(TypeError, match="AsyncWakes"):
        Wakes(answer, SECRET)


def test_who_hangs_up_does_not_end_the_run() -> None:
    async def tell() -> tuple[int, dict[str, Any]]:
        go = asyncio.Event()

        async def work(_: object) -> str:
            await go.wait()
            return "done"

        wakes = AsyncWakes(work, SECRET)
        first = asyncio.ensure_future(wakes.answer(*signed(call_of(1))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        again = asyncio.ensure_future(wakes.answer(*signed(call_of(1, attempt=2))))
        await asyncio.sleep(0)
        go.set()
        return await again

    assert asyncio.run(tell()) == (200, {"reply": "done"})


def test_a_run_that_is_cancelled_is_a_failure_not_a_wait() -> None:
    async def work(_: object) -> str:
        raise asyncio.CancelledError

    status, answer = asyncio.run(AsyncWakes(work, SECRET).answer(*signed(call_of(1))))
    assert (status, answer["error"]) == (500, "RuntimeError: it was cancelled")


def client(answer: httpx.Response) -> Reveille:
    return Reveille("http://x", "key", http=httpx.Client(transport=httpx.MockTransport(lambda _: answer)))


def test_a_redirect_and_a_page_are_errors_that_say_what_to_do() -> None:
    with pytest.raises(ApiError, match="It is at https://elsewhere/; use that address") as moved:
        client(httpx.Response(308, headers={"location": "https://elsewhere/"})).agents.list()
    assert moved.value.status == 308
    with pytest.raises(ConnectionFailed, match=r"text/html.*, which is no answer of Reveille's"):
        client(httpx.Response(200, html="<h1>Sign in</h1>")).agents.list()
    with pytest.raises(ApiError, match="502"):
        client(httpx.Response(502, html="<h1>Bad gateway</h1>")).agents.list()


def test_an_invalid_address_is_one_of_this_packages_errors() -> None:
    with pytest.raises(ConnectionFailed):
        Reveille("http://[", "key").agents.list()
