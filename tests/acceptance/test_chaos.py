"""The promise: every firing recorded exactly once, none lost, one wake at a time, whatever is killed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from scheduler.storage.engine import Database
from tests.acceptance.agent_server import Run
from tests.acceptance.chaos.audit import BROKEN_RANGES, not_called, stale_calls
from tests.acceptance.chaos.faults import POINTS
from tests.acceptance.chaos.run import run_chaos
from tests.support.factories import make_agent, make_trigger

SEED = 20
ALWAYS = {
    "kill -9 web",
    "kill -9 scheduler",
    "kill -9 invoker",
    "kill -9 worker",
    "kill -9 postgres",
    "SIGSTOP invoker",
    "PostgreSQL restarted",
    "slow network",
    "black hole",
    "cut all",
    *(f"cut {point}" for point in POINTS),
}
CUTS = {"cut before COMMIT of ", "cut after COMMIT of "}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_whatever_fails() -> None:
    """Causes every fault once. What this machine cannot do (mount, name spaces, libfaketime, git) is printed and left
    out.
    """
    with tempfile.TemporaryDirectory(prefix="reveille-chaos-") as directory:
        Path(directory).chmod(0o755)
        report = run_chaos(Path(directory), seed=SEED)
    assert report.failures() == {}
    done = set(report.faults)
    assert done >= ALWAYS, "\n".join(report.lines())
    for cut in CUTS:
        assert any(each.startswith(cut) for each in done), cut
    assert report.slots >= 300 * 60
    assert len(report.accepted) >= 50
    assert report.refused, "the database was away"


@pytest.mark.parametrize(
    ("ranges", "broken"),
    [
        ([(1, 1, 1), (2, 2, 1), (3, 5, 3)], 0),
        ([(1, 1, 1), (3, 3, 1)], 1),
        ([(1, 2, 2), (2, 3, 2)], 1),
        ([(2, 2, 1)], 1),
        ([(1, 3, 2)], 1),
    ],
    ids=["whole", "a slot is missing", "a slot is doubled", "the first slot is missing", "a count is wrong"],
)
def test_the_audit_of_slots_sees_what_is_missing_or_doubled(
    database_url: str, sqlalchemy_url: str, ranges: Sequence[tuple[int, int, int]], broken: int
) -> None:
    db = Database(sqlalchemy_url)
    trigger = make_trigger(db, make_agent(db), config={"seconds": 1})
    db.dispose()
    insert = """
        INSERT INTO firings (id, tenant_id, agent_id, trigger_id, trigger_name, trigger_type, reason, occurrence_key,
            fired_at, first_scheduled_for, scheduled_for, slot_count, invocation_id, root_id)
        SELECT gen_random_uuid(), tenant_id, agent_id, id, name, type, '', %(last)s::text, anchor_at,
            anchor_at + %(first)s * interval '1 second', anchor_at + %(last)s * interval '1 second', %(count)s, id, id
        FROM triggers WHERE id = %(id)s
    """
    with psycopg.connect(database_url, autocommit=True) as conn:
        for first, last, count in ranges:
            conn.execute(insert, {"id": trigger.id, "first": first, "last": last, "count": count})
        assert len(conn.execute(BROKEN_RANGES.encode()).fetchall()) == broken


def run(invocation_id: str, attempt: int, started: float, firing_ids: Sequence[str] = ("f",)) -> Run:
    return Run("agent", invocation_id, attempt, list(firing_ids), {}, {}, started, started + 1)


def test_the_audit_of_calls_sees_what_was_called_late_twice_or_never() -> None:
    good = [run("a", 1, 1.0), run("a", 2, 2.0), run("b", 1, 1.5, ["g", "h"])]
    assert stale_calls(good) == []
    assert stale_calls([*good, run("a", 1, 3.0), run("b", 1, 4.0)]) == [
        "a attempt 1, 1.0 s after 2",
        "b attempt 1, 2.5 s after 1",
    ]
    assert not_called({"a": ["f"], "b": ["h", "g"]}, good) == []
    assert not_called({"a": ["f", "g"], "c": ["i"]}, good) == ["a", "c"]
