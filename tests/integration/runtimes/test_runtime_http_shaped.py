"""`http` agents with their own request and reply formats, with a real server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import Failed, Replied, RunAgent
from scheduler.domain.signatures import SignatureConfig, SignedRequest, verify
from tests.support.http_agents import answered
from tests.support.http_shapes import Script, replied, run_shaped
from tests.support.runs import SECRET, make_request


def sent_by(settings: dict[str, Any], **values: Any) -> Any:
    """Returns the only request that an agent with these settings makes."""
    script = Script(lambda _: replied({"reply": "ok"}))
    assert run_shaped(script, settings, **values) == Replied("ok")
    [seen] = script.seen
    return seen


def test_values_take_their_places_by_value() -> None:
    nasty = 'say "hi", {{agent.id}}\\ \n{"x": 1}}}'
    request = make_request(context=nasty, agent=RunAgent(id=new_id(), name="ada"), attempt=2)
    body = {
        "input": "{{context}}",
        "text": "For {{ agent.name }}, try {{attempt}}: {{context}}",
        "list": ["{{firings}}", "{{attempt}}", {"deep": "{{agent}}"}],
        "none": None,
        "plain": "{ {context} }",
        "count": "{{firing_count}} of {{firing_count}}",
        "summary": "{{summary}}",
    }
    seen = sent_by({"body": body}, request=request)
    sent = seen.json
    assert sent["input"] == nasty
    assert sent["text"] == f"For ada, try 2: {nasty}"
    assert sent["list"][0] == json.loads(request.to_json())["firings"]
    assert sent["list"][1:] == [2, {"deep": {"id": str(request.agent.id), "name": "ada"}}]
    assert (sent["none"], sent["plain"], sent["count"]) == (None, "{ {context} }", "1 of 1")
    assert sent["summary"] == "1 firing: daily (cron)"
    assert seen.headers["content-type"] == "application/json"


def test_what_is_shaped_is_signed_unless_it_is_told_not_to() -> None:
    signed = sent_by({"body": ["{{context}}"], "method": "PUT"})
    assert signed.method == "PUT"
    config = SignatureConfig(scheme="standard-webhooks", secret=SECRET)
    at = datetime.fromtimestamp(int(signed.headers["webhook-timestamp"]), UTC)
    assert verify(config, SignedRequest(signed.headers, signed.body), now=at).accepted
    plain = sent_by({"body": {}, "sign": False})
    assert not [name for name in plain.headers if name.startswith("webhook-")]
    assert plain.json == {}


def test_a_get_has_no_body() -> None:
    seen = sent_by({"method": "GET", "path": "/wake?id={{invocation_id}}"})
    assert seen.method == "GET"
    assert seen.target.startswith("/wake?id=")
    assert (seen.body, "content-type" in seen.headers) == (b"", False)


@pytest.mark.parametrize(
    ("base", "path", "target"),
    [
        ("", "/agents/{{agent.name}}/wake", "/agents/a%2Fb%20%C3%BC%3F/wake"),
        ("/v1", "/v1/runs", "/v1/runs"),
        ("/v1/", "/v1/runs/{{place}}", "/v1/runs/north%20%26%20south"),
        ("/proxy?key=1", "/v1/runs?x=2", "/proxy/v1/runs?key=1&x=2"),
        ("", "/@evil.example/x", "/@evil.example/x"),
    ],
)
def test_a_path_is_added_and_its_values_are_encoded(base: str, path: str, target: str) -> None:
    request = make_request(agent=RunAgent(id=new_id(), name="a/b ü?"))
    settings = {"path": path, "parameters": {"place": "north & south"}}
    assert sent_by(settings, base=base, request=request).target == target


def test_a_value_that_would_climb_out_of_a_path_is_refused() -> None:
    request = make_request(agent=RunAgent(id=new_id(), name=".."))
    outcome = run_shaped(Script(lambda _: replied({})), {"path": "/a/{{agent.name}}/b"}, request=request)
    assert outcome == Failed("The value of agent.name, '..', cannot be part of an address.", permanent=True)


def test_headers_and_token_are_sent() -> None:
    request = make_request()
    headers = {"X-Key": "k {{token}}", "Idempotency-Key": "{{invocation_id}}"}
    seen = sent_by({"headers": headers, "token": "t0k", "body": {}}, request=request)
    assert seen.headers["x-key"] == "k t0k"
    assert seen.headers["idempotency-key"] == str(request.invocation_id)
    assert "authorization" not in seen.headers
    assert sent_by({"token": "t0k"}).headers["authorization"] == "Bearer t0k"
    assert "x-key" not in sent_by({"headers": {"X-Key": "{{token}}"}}).headers
    text = sent_by({"headers": {"content-type": "text/plain"}, "body": "Hi {{agent.name}}"})
    assert (text.body, text.headers["content-type"]) == (b"Hi ada", "text/plain")


ANSWER = {
    "output": [
        {"type": "reasoning", "content": []},
        {"type": "message", "content": [{"text": "one"}, {"text": "two"}]},
    ],
    "error": None,
    "meta": {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_price": "0.25"}},
    "usage": {"input_tokens": 1},
}


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        (
            {"reply_path": "$.output[*].content[*].text"},
            Replied("one\ntwo", spent=ResponseUsage(1, 0, Decimal(0))),
        ),
        (
            {"reply_path": "$.output[1].content[0]", "usage_path": "$.meta.usage"},
            Replied('{"text": "one"}', spent=ResponseUsage(3, 4, Decimal("0.25"))),
        ),
        (
            {"reply_path": "$.answer", "usage_path": "$.none"},
            Replied(
                json.dumps(ANSWER),
                note="There was nothing at reply_path $.answer; the reply is the whole answer.",
            ),
        ),
        (
            {"reply_path": "$.output[1].content[1].text", "error_path": "$.error"},
            Replied("two", spent=ResponseUsage(1, 0, Decimal(0))),
        ),
        (
            {"error_path": "$.output[0].type"},
            Failed("The agent answered that it failed: reasoning", spent=ResponseUsage(1, 0, Decimal(0))),
        ),
    ],
)
def test_an_answer_is_read_by_paths(settings: dict[str, Any], outcome: object) -> None:
    assert run_shaped(Script(lambda _: replied(ANSWER)), settings) == outcome


def test_an_answer_that_is_no_json_is_still_a_reply() -> None:
    note = "There was nothing at reply_path $.a; the reply is the whole answer."
    assert run_shaped(Script(lambda _: answered("200 OK", b"fine")), {"reply_path": "$.a"}) == Replied(
        "fine", note=note
    )


def test_an_error_may_say_what_it_cost() -> None:
    script = Script(lambda _: replied({"usage": {"input_tokens": 5}}, "500 Broken"))
    outcome = run_shaped(script, {})
    assert isinstance(outcome, Failed)
    assert outcome.spent == ResponseUsage(5, 0, Decimal(0))


def test_a_large_answer_with_a_small_reply_is_read_whole() -> None:
    document = {"noise": "x" * 3_000_000, "reply": "small"}
    assert run_shaped(Script(lambda _: replied(document)), {"reply_path": "$.reply"}) == Replied("small")
