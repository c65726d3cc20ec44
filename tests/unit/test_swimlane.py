"""The geometry of the picture on the page *Now*."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from api.web.swimlane import NOW_AT, Scale, causes, lanes_of, page_of, percentile
from scheduler.domain.ids import new_id
from scheduler.storage.read_models.spans import first_id
from scheduler.triggers.registry import KINDS, icon_of

NOW = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)
SCALE = Scale(NOW, timedelta(minutes=15), "Europe/Berlin")
ADA = SimpleNamespace(id=new_id(), name="ada", is_paused=False, paused_note=None)
INVOCATION = new_id()


def firing(seconds_ago: float, name: str = "doorbell", kind: str = "webhook", **values: Any) -> Any:
    fields = {"slot_count": 1, "state": "pending", "scheduled_for": None, "invocation_id": INVOCATION}
    at = NOW - timedelta(seconds=seconds_ago)
    return SimpleNamespace(agent_id=ADA.id, trigger_name=name, trigger_type=kind, fired_at=at, **(fields | values))


def invocation(**values: Any) -> Any:
    fields: dict[str, Any] = {
        "id": INVOCATION, "agent_id": ADA.id, "state": "succeeded", "opened_at": NOW - timedelta(seconds=90),
        "due_at": None, "held_reason": None, "firing_count": 3, "ready_at": NOW - timedelta(seconds=60),
        "started_at": NOW - timedelta(seconds=60), "finished_at": NOW - timedelta(seconds=30),
    }  # fmt: skip
    return SimpleNamespace(**(fields | values))


def timeline(**values: Any) -> Any:
    fields: dict[str, Any] = {"now": NOW, "firings": [], "invocations": [], "upcoming": [], "agents": [ADA]}
    return SimpleNamespace(**(fields | values))


def test_now_is_at_three_quarters_and_nothing_leaves_the_picture() -> None:
    assert SCALE.at(NOW) == NOW_AT
    assert SCALE.at(NOW - timedelta(minutes=15)) == 0
    assert SCALE.at(SCALE.until) == 100
    assert SCALE.at(NOW - timedelta(days=1)) == 0
    assert SCALE.at(NOW + timedelta(days=1)) == 100


def test_ticks_are_round_times_of_the_zone() -> None:
    assert [tick.text for tick in SCALE.ticks()] == ["12:50", "12:55", "13:00", "13:05"]


def test_an_invocation_says_what_woke_it() -> None:
    firings = [firing(61), firing(62), firing(70, "tick", "interval")]
    (lane,) = lanes_of(timeline(firings=firings, invocations=[invocation()]), SCALE)
    (run,) = lane.runs
    assert run.label == "Invocation of 12:59:07, woken by doorbell (webhook) ×2, tick (interval): succeeded, 30 s"
    assert run.href == f"/invocations/{INVOCATION}"
    assert (run.x, run.x + run.width) == (
        SCALE.at(NOW - timedelta(seconds=60)),
        SCALE.at(NOW - timedelta(seconds=30)),
    )
    assert lane.windows[0].label.endswith("closed")


def test_near_firings_of_one_kind_become_one_mark_with_a_count() -> None:
    firings = [firing(60 + step) for step in range(5)] + [firing(300), firing(300, "tick", "interval")]
    (lane,) = lanes_of(timeline(firings=firings), SCALE)
    assert [(mark.kind, mark.count) for mark in lane.marks] == [("interval", 1), ("webhook", 1), ("webhook", 5)]


def test_what_comes_is_on_the_same_line_of_time_and_links_to_its_trigger() -> None:
    trigger_id = new_id()
    coming = SimpleNamespace(
        id=trigger_id, agent_id=ADA.id, name="tick", type="interval", next_run_time=NOW + timedelta(minutes=2)
    )
    later = SimpleNamespace(**{**vars(coming), "next_run_time": NOW + timedelta(hours=2)})
    (lane,) = lanes_of(timeline(upcoming=[coming, later]), SCALE)
    (mark,) = lane.marks
    assert (mark.is_ahead, mark.href, mark.x) == (True, f"/triggers/{trigger_id}", SCALE.at(coming.next_run_time))


def test_an_open_window_says_when_it_closes_and_a_held_one_why_it_does_not() -> None:
    waits = {"state": "collecting", "ready_at": None, "started_at": None, "finished_at": None}
    open_ = invocation(**waits, due_at=NOW + timedelta(seconds=20))
    held = invocation(**waits, held_reason="paused")
    (lane,) = lanes_of(timeline(invocations=[open_, held]), SCALE)
    assert [bar.label.rpartition(": ")[2] for bar in lane.windows] == ["closes at 13:00:27", "held, paused"]
    assert [bar.css for bar in lane.windows] == ["window", "window paused"]
    assert lane.runs == []


def test_a_run_that_ended_before_the_picture_is_not_in_it() -> None:
    past = NOW - timedelta(hours=1)
    old = invocation(opened_at=past, ready_at=past, started_at=past, finished_at=past + timedelta(seconds=5))
    (lane,) = lanes_of(timeline(invocations=[old]), SCALE)
    assert (lane.runs, lane.windows) == ([], [])


def agents(*names: str) -> list[Any]:
    return [SimpleNamespace(id=new_id(), name=name, is_paused=False) for name in names]


def test_lanes_keep_their_order_whatever_happens() -> None:
    busy, idle = agents("busy", "Idle")
    firings = [firing(5), firing(1)]
    firings[1].agent_id = busy.id
    lanes = lanes_of(timeline(agents=[idle, ADA, busy], firings=firings), SCALE)
    assert [lane.agent.name for lane in lanes] == ["ada", "busy", "Idle"]


def test_fifty_agents_are_reached_by_pages_that_say_how_many_there_are() -> None:
    every = agents(*(f"a{number:02}" for number in range(50)))
    firings = [firing(5)]
    firings[0].agent_id = every[49].id
    lanes = lanes_of(timeline(agents=every, firings=firings), SCALE)
    first, last = page_of(lanes, 1), page_of(lanes, 9)
    assert (len(first.lanes), first.pages, first.total, first.busy_elsewhere) == (24, 3, 50, 1)
    assert ([lane.agent.name for lane in last.lanes], last.first, last.page) == (["a48", "a49"], 49, 3)
    assert last.busy_elsewhere == 0


@pytest.mark.parametrize(
    ("reason", "css"),
    [(None, "window"), ("busy", "window"), ("budget", "window held"), ("paused", "window paused")],
)
def test_what_holds_a_window_can_be_seen(reason: str | None, css: str) -> None:
    held = invocation(state="collecting", ready_at=None, started_at=None, finished_at=None, held_reason=reason)
    (lane,) = lanes_of(timeline(invocations=[held]), SCALE)
    assert [bar.css for bar in lane.windows] == [css]


def test_causes_name_the_most_frequent_first() -> None:
    assert causes([firing(1, "a"), firing(2, "b"), firing(3, "b")])[INVOCATION] == "b (webhook) ×2, a (webhook)"


@pytest.mark.parametrize(("values", "expected"), [([], None), ([1.0], 1.0), (list(range(1, 101)), 100)])
def test_the_percentile_is_the_nearest_rank(values: list[float], expected: float | None) -> None:
    assert percentile(values, 0.99) == expected


def test_the_first_id_of_a_moment_comes_before_all_ids_made_since() -> None:
    moment = datetime.fromtimestamp((new_id().int >> 80) / 1000, UTC)
    assert first_id(moment) < new_id()
    assert first_id(moment + timedelta(seconds=10)) > new_id()
    assert isinstance(first_id(moment), UUID)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_part_of_an_icon_is_closed_since_marks_are_filled(kind: str) -> None:
    icon = icon_of(kind)
    assert icon.upper().count("M") == icon.upper().count("Z") > 0
