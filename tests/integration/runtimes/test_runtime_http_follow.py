"""`http` agents whose answer starts a run: it is followed to its end, once, even by another worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.domain.run import Failed, Outcome, Replied, RuntimeSpec
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes import http_follow
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.registry import make_runtime
from scheduler.storage.engine import Database
from scheduler.storage.remote_tasks import RemoteTasks
from tests.integration.net.net_servers import serve
from tests.support.http_agents import answered
from tests.support.http_shapes import Script, Seen, replied, run_shaped
from tests.support.runs import SECRET, make_parts, make_request

BY_STATE = {"poll_path": "/runs/{{answer.id}}", "done_path": "$.state", "done_values": ["finished"]}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_follow, "FIRST_LOOK", 0.01)
    monkeypatch.setattr(http_follow, "LONGEST_LOOK", 0.01)


def story(*answers: bytes) -> Script:
    """Gives one answer after another, and repeats the last."""
    left: Iterator[bytes] = iter(answers)
    last = [b""]

    def answer(_: Seen) -> bytes:
        last[0] = next(left, last[0])
        return last[0]

    return Script(answer)


def follow(script: Script, how: dict[str, Any], **values: Any) -> Outcome:
    return run_shaped(script, {"async": how, "reply_path": "$.result", "token": "t"}, **values)


def test_the_location_of_a_202_is_looked_at_until_it_answers_200() -> None:
    script = story(
        answered("202 Accepted", b"", "Location: /runs/7"),
        answered("202 Accepted", b"wait"),
        answered("503 Busy"),
        replied({"result": "done"}),
    )
    assert follow(script, {"location": True}) == Replied("done")
    assert script.told == ["POST /", "GET /runs/7", "GET /runs/7", "GET /runs/7"]
    assert all(each.headers["authorization"] == "Bearer t" for each in script.seen)
    assert all("webhook-signature" in each.headers for each in script.seen)


def test_a_state_says_when_it_is_over() -> None:
    script = story(
        replied({"id": 12}, "201 Created"),
        replied({"state": "queued"}),
        replied({"state": "Running"}),
        replied({"state": "Finished", "result": {"a": 1}}),
    )
    assert follow(script, BY_STATE) == Replied('{"a": 1}')
    assert script.told[1:] == ["GET /runs/12"] * 3


def test_an_answer_that_is_over_already_is_not_followed() -> None:
    script = story(replied({"id": 1, "state": "finished", "result": "at once"}))
    assert follow(script, BY_STATE) == Replied("at once")
    assert len(script.seen) == 1


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ({"state": "failed"}, Failed("The run ended as 'failed'.")),
        ({"state": "CANCELLED"}, Failed("The run ended as 'CANCELLED'.")),
        ({"state": "error", "why": "no money"}, Failed("The agent answered that it failed: no money")),
    ],
)
def test_a_bad_end_is_a_failure(end: object, outcome: Outcome) -> None:
    script = story(replied({"id": 1}, "202 Accepted"), replied(end))
    settings = {"async": {**BY_STATE}, "error_path": "$.why"}
    assert run_shaped(script, settings) == outcome


def test_failed_values_may_be_given_and_values_may_be_no_texts() -> None:
    how = {"poll_path": "$.url", "done_path": "$.code", "done_values": [0, "true"], "failed_values": [3]}
    start = replied({"url": "/look"}, "202 Accepted")
    assert follow(story(start, replied({"code": 1}), replied({"code": 0, "result": "x"})), how) == Replied("x")
    assert follow(story(start, replied({"code": True, "result": "y"})), how) == Replied("y")
    assert follow(story(start, replied({"code": 3})), how) == Failed("The run ended as '3'.")


def test_the_result_may_stand_elsewhere() -> None:
    how = {"location": "Operation-Location", "done_path": "$.status", "result_path": "/results/{{answer.id}}"}
    script = story(
        replied({"id": "r1"}, "202 Accepted", "Operation-Location: /ops/1"),
        replied({"status": "succeeded"}),
        replied({"result": "here"}),
    )
    assert follow(script, how) == Replied("here")
    assert script.told == ["POST /", "GET /ops/1", "GET /results/r1"]


def test_a_202_that_does_not_say_where_is_told_and_not_started_again() -> None:
    outcome = follow(story(answered("202 Accepted", b"{}")), {"location": True})
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "did not say where its run is (Location)" in outcome.error


def test_a_run_that_takes_longer_than_the_agent_may_fails_the_try() -> None:
    script = story(replied({"id": 1}), replied({"state": "running"}))
    outcome = follow(script, BY_STATE, timeout=0.3)
    assert outcome == Failed("The run was not over within 0.3 s; its last state was 'running'.", reason="timeout")


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (answered("200 OK", b"<html>", "Content-Type: text/html"), "; there was no $.state"),
        (replied({"state": None}), "; there was no $.state"),
        (replied({"state": {"a": 1}}), "; its last state was \"{'a': 1}\""),
    ],
    ids=["a page", "null", "an object"],
)
def test_a_run_whose_state_cannot_be_told_is_bounded_and_says_so(look: bytes, said: str) -> None:
    outcome = follow(story(replied({"id": 1}), look), BY_STATE, timeout=0.3)
    assert outcome == Failed(f"The run was not over within 0.3 s{said}.", reason="timeout")


@pytest.mark.parametrize("where", ["http://[", "http://[::1", "//["])
def test_an_invalid_address_is_a_permanent_failure(where: str) -> None:
    script = story(answered("202 Accepted", b"", f"Location: {where}"))
    outcome = follow(script, {"location": True})
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "an invalid address" in outcome.error
    named = follow(story(replied({"id": 1, "url": where})), {"poll_path": "$.url", "done_path": "$.state"})
    assert isinstance(named, Failed)
    assert named.permanent


def test_an_answer_that_names_no_run_is_the_reply_and_says_so() -> None:
    outcome = follow(story(replied({"result": "at once"})), BY_STATE)
    assert outcome == Replied(
        "at once", note="The response names no run (/runs/{{answer.id}}), so it is the reply."
    )


@pytest.mark.parametrize("status", ["302 Found", "401 No"])
def test_a_look_that_is_refused_does_not_begin_another_run(status: str) -> None:
    script = story(replied({"id": 1}), answered(status, b"", "Location: http://127.0.0.1:1/"))
    outcome = follow(script, BY_STATE)
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert len(script.seen) == 2


def test_looks_that_go_wrong_too_often_end_the_try() -> None:
    script = story(replied({"id": 1}), answered("500 Broken"))
    assert follow(script, BY_STATE) == Failed("The agent answered HTTP 500.")
    assert len(script.seen) == 1 + http_follow.MAX_MISSES


def test_the_guard_holds_for_what_an_answer_names() -> None:
    script = story(answered("202 Accepted", b"", "Location: http://169.254.169.254/latest"))
    outcome = follow(script, {"location": True}, allow=AllowedPrivate.parse("127.0.0.1"))
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "169.254.169.254" in outcome.error


def test_another_host_is_told_nothing_that_is_secret() -> None:
    other = Script(lambda _: replied({"result": "from elsewhere"}))

    async def both() -> Outcome:
        async with serve(other) as there:
            start = Script(lambda _: answered("202 Accepted", b"", f"Location: {there.url}x"))
            async with serve(start) as here, make_parts() as parts:
                secret = HttpRuntime.pack({"secret": SECRET, "token": "t", "headers": {"X-Key": "k"}})
                config = {"url": here.url, "async": {"location": True}, "reply_path": "$.result"}
                return await make_runtime(RuntimeSpec("http", config, secret, 10.0), parts).run(make_request())

    assert asyncio.run(both()) == Replied("from elsewhere")
    [seen] = other.seen
    assert not {"authorization", "x-key", "webhook-signature", "webhook-id"} & set(seen.headers)


class Service:
    """Runs that start with POST / and are checked with GET /runs/N."""

    def __init__(self) -> None:
        self.script = Script(self.answer)
        self.states: dict[int, str] = {}

    def answer(self, seen: Seen) -> bytes:
        if seen.method == "POST":
            number = len(self.states) + 1
            self.states[number] = "running"
            return replied({"id": number}, "202 Accepted")
        state = self.states.get(int(seen.target.rpartition("/")[2]))
        return answered("404 Gone") if state is None else replied({"state": state, "result": state})


def test_a_run_is_resumed_not_started_again_until_it_has_failed_or_is_gone(db: Database) -> None:
    service, request, memory = Service(), make_request(), RemoteTasks(db)

    async def run(timeout: float = 10.0) -> Outcome:
        config = {"url": server_url[0], "async": BY_STATE}
        async with make_parts(remote_tasks=memory) as parts:
            return await make_runtime(RuntimeSpec("http", config, SECRET, timeout), parts).run(request)

    server_url = [""]

    async def tell() -> None:
        async with serve(service.script) as server:
            server_url[0] = server.url
            assert isinstance(await run(0.3), Failed)
            assert isinstance(await run(0.3), Failed)
            assert service.states == {1: "running"}, "the second try follows the first one's run"
            service.states[1] = "failed"
            assert isinstance(await run(0.3), Failed)
            assert service.states == {1: "failed", 2: "running"}, "one that failed is begun again"
            del service.states[2]
            service.states[0] = "a place holder"
            assert isinstance(await run(0.3), Failed)
            assert 3 in service.states, "and one that is forgotten"
            service.states[3] = "finished"
            assert await run() == Replied('{"state": "finished", "result": "finished"}')

    asyncio.run(tell())
    assert service.script.told.count("POST /") == 3
