"""The examples and tables in docs/runtimes.md and docs/state-machine.md are true."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path

from werkzeug.serving import make_server

from scheduler.domain.model import MOVES
from scheduler.domain.run import Outcome, Replied, RuntimeSpec
from scheduler.runtimes.command import PERMANENT_STATUSES
from scheduler.runtimes.registry import make_runtime
from tests.support.runs import make_parts, make_request

ROOT = Path(__file__).parents[3]
RUNTIMES = (ROOT / "docs/runtimes.md").read_text(encoding="utf-8")
STATES = (ROOT / "docs/state-machine.md").read_text(encoding="utf-8")
SHOWN_BY: dict[tuple[str, str], tuple[str, ...]] = {
    ("collecting", "ready"): ("test_a_due_window_becomes_ready_with_its_firings_oldest_first_and_a_job",),
    ("collecting", "skipped"): ("test_the_window_of_a_deleted_agent_is_skipped_and_its_firings_kept",),
    ("collecting", "cancelled"): ("test_cancelling_ends_what_waits",),
    ("ready", "running"): ("test_a_claim_counts_the_attempt_and_names_the_worker",),
    ("ready", "cancelled"): ("test_cancelling_a_ready_invocation_frees_its_agent",),
    ("running", "succeeded"): ("test_an_end_marks_the_firings_is_audited_and_frees_the_agent",),
    ("running", "awaiting"): ("test_an_accepted_invocation_awaits_its_report_for_the_agents_timeout",),
    ("running", "retrying"): (
        "test_failures_are_repeated_with_growing_waits_until_the_fifth_frees_the_agent",
        "test_an_attempt_that_was_handed_back_starts_again_at_once_and_does_not_count",
        "test_the_run_of_a_lost_worker_is_retried",
    ),
    ("running", "dead"): ("test_failures_are_repeated_with_growing_waits_until_the_fifth_frees_the_agent",),
    ("running", "skipped"): ("test_an_agent_that_was_deleted_meanwhile_is_not_run",),
    ("running", "cancelled"): ("test_whatever_ends_a_cancelled_run_it_is_cancelled",),
    ("awaiting", "succeeded"): (
        "test_a_token_completes_its_attempt_once",
        "test_an_agent_that_says_202_by_habit_is_called_once",
    ),
    ("awaiting", "retrying"): (
        "test_a_reported_error_is_retried_like_any_failure",
        "test_an_agent_that_accepted_and_did_not_report_is_retried_at_its_deadline",
    ),
    ("awaiting", "dead"): ("test_a_fifth_error_that_is_reported_ends_it",),
    ("awaiting", "cancelled"): ("test_a_cancelled_invocation_that_nobody_reports_on_is_ended",),
    ("retrying", "ready"): ("test_a_retry_whose_wait_is_over_becomes_ready_with_a_job_of_its_next_attempt",),
    ("retrying", "cancelled"): ("test_cancelling_ends_what_waits",),
}
"""The tests of each transition."""


def block(language: str, containing: str) -> str:
    [found] = [
        each for each in re.findall(rf"^```{language}\n(.*?)^```", RUNTIMES, re.M | re.S) if containing in each
    ]
    return str(found)


def test_the_request_that_is_shown_has_the_fields_of_the_one_that_is_sent() -> None:
    shown = json.loads(block("json", "complete_token"))
    sent = json.loads(make_request().to_json())
    assert list(shown) == list(sent)
    assert list(shown["firings"][0]) == list(sent["firings"][0])
    assert list(shown["firings"][0]["trigger"]) == list(sent["firings"][0]["trigger"])


def test_the_example_server_accepts_our_calls_and_refuses_others() -> None:
    code = block("python", "standardwebhooks")
    secret = re.findall(r'Webhook\("(.*?)"\)', code)[0]
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(code, "docs/runtimes.md", "exec"), names)  # noqa: S102  # it is our own example
    server = make_server("127.0.0.1", 0, names["app"])  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    async def call(with_secret: str) -> Outcome:
        async with make_parts() as parts:
            url = f"http://127.0.0.1:{server.server_port}/wake"
            return await make_runtime(RuntimeSpec("http", {"url": url}, with_secret, 10.0), parts).run(
                make_request()
            )

    try:
        assert asyncio.run(call(secret)) == Replied("ada saw 1 firings")
        refused = asyncio.run(call("whsec_c29tZSBvdGhlciBzZWNyZXQ="))
        assert "HTTP 401: not by Reveille" in str(refused)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_statuses_that_are_said_to_be_permanent_are() -> None:
    [row] = [line for line in RUNTIMES.splitlines() if "EX_USAGE" in line]
    assert {int(each) for each in re.findall(r"\b\d{2,3}\b", row)} == set(PERMANENT_STATUSES)


def test_every_move_that_is_drawn_is_explained_is_legal_and_has_a_test() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+):", STATES, re.M))
    assert set(re.findall(r"^\| (\w+) → (\w+) \|", STATES, re.M)) == drawn
    unused = {("ready", each) for each in ("retrying", "dead", "skipped")} | {
        ("retrying", each) for each in ("dead", "skipped")
    }
    legal = {(source.value, target.value) for source, targets in MOVES.items() for target in targets}
    assert drawn | unused == legal
    assert set(SHOWN_BY) == drawn
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in {name for names in SHOWN_BY.values() for name in names}:
        assert f"def {name}(" in tests, name
