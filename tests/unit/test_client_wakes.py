"""The agent's side of the client: signatures, repeated wakes, and late reports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from reveille import AsyncWakes, SignatureError, Wakes, verify
from reveille.fastapi import wake as async_wake
from reveille.flask import wake
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.routing import Route

SECRET = "whsec_bW9ybmluZywgdGhlIHN1biBpcyB1cCwgd2FrZSB1cCE="
OTHER = "whsec_c29tZWJvZHkgZWxzZSBlbnRpcmVseQ=="


def signed(call: dict[str, Any], secret: str = SECRET) -> tuple[dict[str, str], bytes]:
    """Returns the headers and the body that Reveille would send."""
    body = json.dumps(call)
    at = datetime.now(UTC)  # noqa: TID251  # the library compares with the real clock
    signature = Webhook(secret).sign(call["invocation_id"], at, body)
    headers = {
        "Webhook-Id": call["invocation_id"],
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": signature,
    }
    return headers, body.encode()


def call_of(number: int, attempt: int = 1, url: str = "http://127.0.0.1:9/") -> dict[str, Any]:
    return {
        "invocation_id": f"i{number}",
        "attempt": attempt,
        "context": "Zoë woke you",
        "complete_url": url,
        "complete_token": f"t{attempt}",
    }


def test_a_call_is_believed_with_one_of_the_secrets_only() -> None:
    headers, body = signed(call_of(1))
    assert verify(headers, body, [OTHER, SECRET])["context"] == "Zoë woke you"
    lower = {name.lower(): value for name, value in headers.items()}
    assert verify(lower, body.decode(), SECRET)["invocation_id"] == "i1"
    for wrong_headers, wrong_body, secret in (
        (headers, body, OTHER),
        (headers, body + b" ", SECRET),
        (headers, b"\xff" + body, SECRET),
        ({}, body, SECRET),
        ({**headers, "Webhook-Timestamp": "1"}, body, SECRET),
        (headers, body, []),
    ):
        with pytest.raises(SignatureError):
            verify(wrong_headers, wrong_body, secret)


def test_an_invocation_that_comes_again_is_not_run_again() -> None:
    seen: list[str] = []

    def answer(call: dict[str, Any]) -> str:
        seen.append(call["invocation_id"])
        return f"reply {len(seen)}"

    wakes = Wakes(answer, SECRET, remember=2)
    assert wakes.answer(*signed(call_of(1))) == (200, {"reply": "reply 1"})
    assert wakes.answer(*signed(call_of(1, attempt=2))) == (200, {"reply": "reply 1"})
    assert wakes.answer(*signed(call_of(1), secret=OTHER))[0] == 401
    for number in (2, 3, 4):
        wakes.answer(*signed(call_of(number)))
    assert seen == ["i1", "i2", "i3", "i4"]
    assert wakes.answer(*signed(call_of(1)))[1] == {"reply": "reply 5"}, "forgotten: only some are remembered"


def test_a_failure_is_told_and_the_retry_runs() -> None:
    replies: Iterator[Any] = iter([ValueError("no luck"), "luck"])

    def answer(_call: dict[str, Any]) -> str:
        reply = next(replies)
        if isinstance(reply, Exception):
            raise reply
        return str(reply)

    wakes = Wakes(answer, SECRET)
    assert wakes.answer(*signed(call_of(1))) == (500, {"error": "ValueError: no luck"})
    assert wakes.answer(*signed(call_of(1, attempt=2))) == (200, {"reply": "luck"})


class Reports:
    """A Reveille that accepts reports, but answers the first with 503."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.came = Event()
        reports = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reports.taken.append((self.headers["Authorization"], body))
                self.send_response(503 if len(reports.taken) == 1 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if len(reports.taken) > 1:
                    reports.came.set()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    monkeypatch.setattr("reveille.wakes.REPORT_PAUSES", (0.0, 0.0, 0.0))
    reports = Reports()
    yield reports
    reports.server.shutdown()
    reports.server.server_close()


def test_long_work_is_accepted_and_reported_with_the_last_attempts_token(reports: Reports) -> None:
    go_on = Event()

    def answer(_call: dict[str, Any]) -> dict[str, int]:
        go_on.wait(30)
        return {"found": 3}

    app = Flask(__name__)
    app.post("/wake")(wake(SECRET, is_long=True)(answer))
    with app.test_client() as client:
        for attempt in (1, 2):
            headers, body = signed(call_of(1, attempt, reports.url))
            assert client.post("/wake", headers=headers, data=body).status_code == 202
        go_on.set()
        assert reports.came.wait(30)
    assert reports.taken[-1] == ("Bearer t2", {"attempt": 2, "reply": '{"found":3}'})


def starlette_app(endpoint: Any) -> Any:
    return Starlette(routes=[Route("/wake", endpoint, methods=["POST"])])


def fastapi_app(endpoint: Any) -> Any:
    app = FastAPI()
    app.post("/wake")(endpoint)
    return app


@pytest.mark.parametrize("app_of", [starlette_app, fastapi_app])
def test_a_coroutine_answers_too(reports: Reports, app_of: Callable[[Any], Any]) -> None:
    async def answer(call: dict[str, Any]) -> str:
        await asyncio.sleep(0)
        if call["attempt"] == 1:
            raise RuntimeError("not today")
        return "done"

    async def talk() -> list[int]:
        app = app_of(async_wake(SECRET)(answer))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent") as client:
            answers = []
            for attempt in (1, 2, 3):
                headers, body = signed(call_of(1, attempt))
                answers.append((await client.post("/wake", headers=headers, content=body)).status_code)
            long = AsyncWakes(answer, SECRET, is_long=True)
            assert (await long.answer(*signed(call_of(2, 1, reports.url))))[0] == 202
            assert await asyncio.to_thread(reports.came.wait, 30)
            return answers

    assert asyncio.run(talk()) == [500, 200, 200]
    assert reports.taken[-1][1] == {"attempt": 1, "error": "RuntimeError: not today"}


def test_a_plain_function_is_refused_where_a_coroutine_is_needed() -> None:
    with pytest.raises(TypeError, match="async def"):
        AsyncWakes(lambda _call: None, SECRET)  # type: ignore[arg-type, return-value]
