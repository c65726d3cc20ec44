"""The trace of a wake, from the sender's span to the end, as an OTLP receiver gets it."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from loguru import logger
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from sqlalchemy import text

from config.logging import configure_logging
from config.settings import load_settings
from scheduler.bootstrap import trace_duties
from scheduler.domain.errors import ConfigurationError
from scheduler.domain.run import Failed, Outcome, Replied, RunRequest
from scheduler.domain.tools import Tool
from scheduler.metrics import REGISTRY
from scheduler.storage.engine import Database
from scheduler.tracing import Tracing, exporter
from tests.support.api import Api
from tests.support.database import change, until_blocked
from tests.support.dispatching import Scripted, make_dispatcher
from tests.support.hooks import make_hook
from tests.support.invocations import close, fire, make_agent_with_trigger, ready_one
from tests.support.llm import calls, make_model, make_thinker, providing, thinking
from tests.support.llm import text as said
from tests.support.otlp import Receiver, attributes, receiving
from tests.support.web import free_port

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TOO_OLD = ExportTraceServiceResponse(
    partial_success=ExportTracePartialSuccess(rejected_spans=3, error_message="too old")
)
SENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def otlp() -> Iterator[Receiver]:
    """The receiver; each test empties it."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def receiver(otlp: Receiver) -> Receiver:
    otlp.status, otlp.answer = 200, b""
    for each in (otlp.spans, otlp.headers, otlp.resources):
        each.clear()
    return otlp


def tracing(db: Database, receiver: Receiver) -> Tracing:
    return Tracing(db, exporter(receiver.url, {"x-team": "ops"}, "1.2.3"), timedelta())


def sent(outcome: str) -> float:
    """How many spans were counted with an outcome."""
    return REGISTRY.get_sample_value("reveille_trace_spans_total", {"outcome": outcome}) or 0


def run_all(db: Database, *outcomes: Outcome) -> list[RunRequest]:
    """Close the windows and run each invocation, with an attempt for each outcome."""
    [invocation] = close(db).ready

    async def run() -> list[RunRequest]:
        left = list(outcomes)

        async def behave(_: RunRequest) -> Outcome:
            return left.pop(0)

        runtime = Scripted(behave)
        dispatcher = make_dispatcher(db, runtime, traced=True)
        for attempt in range(1, len(outcomes) + 1):
            change(db, "UPDATE invocations SET state = 'ready' WHERE state = 'retrying'")
            await dispatcher.run([(invocation, attempt)])
        dispatcher.close()
        return runtime.requests

    return asyncio.run(run())


def test_a_webhook_is_traced_from_its_sender_to_the_end_of_the_wake(api: Api, receiver: Receiver) -> None:
    hook = make_hook(api)
    firing = hook.accepted(b"{}", traceparent=SENT)
    change(api.db, "UPDATE invocations SET due_at = now()")
    first, second = run_all(api.db, Failed("not yet"), Replied("done"))
    assert tracing(api.db, receiver).look() == 6
    intake, fired = receiver.named("intake webhook"), receiver.named("fire hook")
    wake, window = receiver.named("wake agent 0"), receiver.named("window")
    failed, run = sorted(
        (each for each in receiver.spans if each.name == "run command"),
        key=lambda each: int(attributes(each)["reveille.attempt"]),
    )
    assert {each.trace_id.hex() for each in receiver.spans} == {TRACE}
    assert intake.parent_span_id.hex() == "00f067aa0ba902b7"
    assert intake.kind == Span.SPAN_KIND_SERVER
    assert fired.parent_span_id == intake.span_id
    assert wake.parent_span_id == fired.span_id
    assert {window.parent_span_id, failed.parent_span_id, run.parent_span_id} == {wake.span_id}
    assert first.traceparent == f"00-{TRACE}-{failed.span_id.hex()}-01"
    assert second.traceparent == f"00-{TRACE}-{run.span_id.hex()}-01"
    assert (failed.status.code, failed.status.message) == (Status.STATUS_CODE_ERROR, "not yet")
    assert wake.status.code == run.status.code == Status.STATUS_CODE_UNSET
    assert attributes(fired)["reveille.firing.id"] == firing
    assert attributes(wake)["reveille.invocation.state"] == "succeeded"
    assert all(each.start_time_unix_nano <= each.end_time_unix_nano for each in receiver.spans)
    assert receiver.headers[0]["x-team"] == "ops"
    assert receiver.resources[0] == {"service.name": "reveille", "service.version": "1.2.3"}
    assert tracing(api.db, receiver).look() == 0


def test_an_intake_lasts_from_its_request_until_it_is_recorded(api: Api, receiver: Receiver) -> None:
    hook = make_hook(api)
    with ThreadPoolExecutor(1) as pool:
        with api.db.begin() as other:
            other.execute(text("SELECT FROM triggers WHERE id = :id FOR UPDATE"), {"id": hook.id})
            sending = pool.submit(hook.accepted)
            until_blocked(api.db)
            [[held]] = other.execute(text("SELECT clock_timestamp()"))
        sending.result(20)
    change(api.db, "UPDATE invocations SET due_at = now()")
    run_all(api.db, Replied("done"))
    tracing(api.db, receiver).look()
    intake = receiver.named("intake webhook")
    assert intake.start_time_unix_nano < held.timestamp() * 1e9 < intake.end_time_unix_nano


def test_several_firings_of_a_wake_are_links_and_one_without_a_sender_is_a_trace_of_its_own(
    db: Database, receiver: Receiver
) -> None:
    woken = make_agent_with_trigger(db, "ada")
    first, second, third = fire(db, woken, 3)
    run_all(db, Replied("done"))
    tracing(db, receiver).look()
    wake = receiver.named("wake ada")
    fired = {
        attributes(each)["reveille.firing.id"]: each for each in receiver.spans if each.name.startswith("fire ")
    }
    assert wake.trace_id.hex() == first.hex
    assert wake.parent_span_id == fired[str(first)].span_id
    assert [(each.trace_id.hex(), each.span_id) for each in wake.links] == [
        (each.hex, fired[str(each)].span_id) for each in (second, third)
    ]


def test_an_end_that_is_committed_after_later_ones_is_exported_too(db: Database, receiver: Receiver) -> None:
    fire(db, make_agent_with_trigger(db, "ada"))
    slow_id = run_all(db, Replied("done"))[0].invocation_id
    change(db, "UPDATE invocations SET finished_at = NULL")
    with db.begin() as slow:
        slow.execute(
            text("UPDATE invocations SET finished_at = clock_timestamp() WHERE id = :id"), {"id": slow_id}
        )
        fire(db, make_agent_with_trigger(db, "bob"))
        run_all(db, Replied("done"))
        assert tracing(db, receiver).look() == 0
    assert tracing(db, receiver).look() == 8


def test_tool_calls_hang_below_their_run_as_many_for_each_wake(
    db: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.storage.ended_spans.MOST_CALLS", 2)
    tool = Tool("look", "", {"type": "object", "properties": {}}, lambda *_: "a sea")

    async def run() -> None:
        responses = calls(("look", {}), ("look", {}), ("look", {})), said("Seen.")
        async with providing(*responses, *responses) as provider, thinking(db, tools=[tool]) as thinkers:
            woken = make_thinker(db, make_model(db, provider.url))
            for _ in range(2):
                await thinkers.run(ready_one(db, woken))

    asyncio.run(run())
    tracing(db, receiver).look()
    runs = {each.span_id: each for each in receiver.spans if each.name == "run llm"}
    made = [each for each in receiver.spans if each.name == "execute_tool look"]
    assert sorted(Counter(each.parent_span_id for each in made).values()) == [2, 2]
    for call in made:
        run_of = runs[call.parent_span_id]
        assert run_of.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano
        assert call.end_time_unix_nano <= run_of.end_time_unix_nano
        assert attributes(call)["gen_ai.tool.name"] == "look"


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_spans_that_did_not_arrive_are_sent_again(db: Database, receiver: Receiver, status: int) -> None:
    make_agent_with_trigger(db, "ada")
    fire(db, make_agent_with_trigger(db, "bob"))
    run_all(db, Replied("done"))
    failed = sent("failed")
    receiver.status = status
    assert tracing(db, receiver).look() == 0
    assert sent("failed") == failed + 4
    away = Tracing(db, exporter(f"http://127.0.0.1:{free_port()}", {}, "1"), timedelta())
    assert away.look() == 0
    receiver.status = 200
    assert tracing(db, receiver).look() == 4
    assert receiver.named("wake bob")


def test_spans_that_the_receiver_will_never_take_are_dropped_counted_and_told(
    db: Database, receiver: Receiver
) -> None:
    out = io.StringIO()
    number = logger.add(out, format="{message}")
    refused = sent("refused")
    for receiver.status, receiver.answer in (
        (400, b""),
        (200, TOO_OLD.SerializeToString()),
        (200, b"no protobuf"),
    ):
        fire(db, make_agent_with_trigger(db, f"agent {receiver.status} {len(out.getvalue())}"))
        run_all(db, Replied("done"))
        tracing(db, receiver).look()
        assert tracing(db, receiver).look() == 0
    logger.remove(number)
    assert sent("refused") == refused + 4
    assert [line for line in out.getvalue().splitlines() if "dropped" in line] == [
        "4 spans were dropped: the receiver answered 400",
        "3 spans were dropped by the receiver: too old",
    ]


def test_spans_are_exported_once_by_several_schedulers_in_small_steps(
    db: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.storage.ended_spans.MOST_AT_ONCE", 2)
    monkeypatch.setattr("scheduler.tracing.MOST_SPANS", 3)
    for name in ("ada", "bob", "eve", "joe", "kim"):
        fire(db, make_agent_with_trigger(db, name))
        run_all(db, Replied("done"))
    with ThreadPoolExecutor(4) as threads:
        counts = [*threads.map(lambda _: tracing(db, receiver).look(), range(4))]
    tracing(db, receiver).look()
    assert sum(counts) <= 20
    ids = [(each.trace_id, each.span_id) for each in receiver.spans]
    assert len(ids) == len(set(ids)) == 20


def test_log_lines_of_a_run_carry_its_ids_in_json(db: Database) -> None:
    out = io.StringIO()
    configure_logging("INFO", as_json=True, stream=out)
    try:
        woken = make_agent_with_trigger(db, "ada")
        [firing] = fire(db, woken)
        [request] = run_all(db, Replied("done"))
    finally:
        logger.remove()
    lines: list[dict[str, Any]] = [json.loads(each) for each in out.getvalue().splitlines()]
    [line] = [each for each in lines if "was woken" in each["message"]]
    assert line["invocation_id"] == str(request.invocation_id)
    assert line["firing_ids"] == [str(firing)]
    assert line["trigger_ids"] == [str(woken.trigger_id)]
    assert line["trace_id"] == firing.hex
    assert UUID(line["trace_id"])


def test_without_an_endpoint_there_is_no_duty_and_without_the_extra_a_clear_error(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trace_duties(load_settings({}), db) == []
    settings = load_settings(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c"}
    )
    assert [each.name for each in trace_duties(settings, db)] == ["export traces"]
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.proto.trace.v1.trace_pb2", None)
    with pytest.raises(ConfigurationError, match=r"install reveille-server\[otel\]"):
        trace_duties(settings, db)
    with pytest.raises(ConfigurationError, match="OTEL_EXPORTER_OTLP_HEADERS: must be headers such as"):
        load_settings({"OTEL_EXPORTER_OTLP_HEADERS": "nonsense"})
