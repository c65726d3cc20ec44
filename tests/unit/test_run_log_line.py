from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, RunAgent, RunFiring, RunRequest, RunTrigger
from scheduler.invocations.run import level_of, log_line


def firing(name: str, kind: str) -> RunFiring:
    trigger = RunTrigger(id=new_id(), name=name, type=kind, reason="", focus_ref=None)
    return RunFiring(
        id=new_id(),
        trigger=trigger,
        fired_at=datetime(2030, 1, 1, tzinfo=UTC),
        first_scheduled_for=None,
        scheduled_for=None,
        slot_count=1,
        content_type=None,
        payload=None,
        payload_base64=None,
        data=None,
    )


REQUEST = RunRequest(
    invocation_id=new_id(),
    attempt=1,
    complete_url="",
    complete_token="",
    agent=RunAgent(id=new_id(), name="ada"),
    context="",
    firings=(firing("bell", "webhook"), firing("tick", "interval"), firing("bell", "webhook")),
)


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (Replied("hi\nthere\x1b[2J"), r"it replied 'hi\nthere\x1b[2J'"),
        (Replied(""), "it is done"),
        (Accepted(), "it took the work and will report"),
    ],
)
def test_a_run_is_told_in_one_line(outcome: Outcome, end: str) -> None:
    told_ = log_line(REQUEST, outcome)
    assert told_ == f"Agent 'ada' was woken by 3 firings: bell (webhook) x2, tick (interval); {end}"
    assert told_.isprintable()
    assert level_of(outcome) == "INFO"


def test_a_failed_attempt_is_a_warning() -> None:
    outcome = Failed("no\x1b " * 100)
    assert log_line(REQUEST, outcome) == (
        "An attempt to wake agent 'ada' for 3 firings, bell (webhook) x2, tick (interval), failed: "
        + ("no\\x1b " * 100)[: 200 + 3 * 50]
        + "…"
    )
    assert level_of(outcome) == "WARNING"
