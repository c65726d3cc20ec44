"""Checks that only store a new baseline are written together; what may not be stored, or not now, stays as it was."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from scheduler.intake.polls import check
from scheduler.storage.read_models.triggers import TriggerView
from tests.integration.net.net_servers import Exchange
from tests.support.polls import Polls, Site, answered, json_answer


@pytest.fixture(autouse=True)
def nothing_is_written_before_all_have_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(check, "GATHERED_SECONDS", 60.0)


FEED = b"<rss version='2.0'><channel><title>t</title><item><guid>%d</guid><title>a</title></item></channel></rss>"


def transactions(polls: Polls) -> int:
    """Returns how many transactions wrote the present states."""
    (found,) = polls.rows("SELECT count(DISTINCT xmin::text) AS n FROM poll_states WHERE checked_at IS NOT NULL")
    return int(found.n)


def change(polls: Polls, statement: str) -> None:
    with polls.db.begin() as conn:
        conn.execute(text(statement))


def test_first_looks_of_a_job_are_one_transaction_and_later_changes_fire(polls: Polls, site: Site) -> None:
    made = [polls.make() for _ in range(3)]
    polls.look(*made)
    assert transactions(polls) == 1
    assert [polls.state(each).baseline for each in made] == ["1"] * 3
    site.says(2)
    polls.look(*made)
    assert [polls.data(each) for each in made] == [[{"old": 1, "new": 2}]] * 3


def test_first_looks_at_feeds_are_one_transaction_and_new_entries_fire(polls: Polls, site: Site) -> None:
    made = [polls.make({"read": "feed"}) for _ in range(3)]
    site.answer = answered(body=FEED % 1, content_type="application/rss+xml")
    polls.look(*made)
    assert transactions(polls) == 1
    assert [polls.data(each) for each in made] == [[]] * 3
    site.answer = answered(body=FEED % 2, content_type="application/rss+xml")
    polls.look(*made)
    assert [[entry["id"] for entry in polls.data(each)[0]["entries"]] for each in made] == [["2"]] * 3


def test_a_first_look_that_matches_fires_beside_others_that_do_not(polls: Polls) -> None:
    fires = polls.make({"fire_on": "match", "match_value": 1})
    waits = [polls.make({"fire_on": "match", "match_value": 2}) for _ in range(2)]
    polls.look(fires, *waits)
    assert (polls.data(fires), [polls.data(each) for each in waits]) == ([{"new": 1}], [[], []])
    assert [polls.state(each).baseline for each in (fires, *waits)] == ["1"] * 3


def test_a_first_look_after_an_edit_forgets_the_failures_before_it(polls: Polls, site: Site) -> None:
    poll = polls.make()
    site.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    polls.look(poll)
    polls.edit(poll, config={"json_path": "$.a"})
    site.says({"a": 3})
    polls.check(*polls.pass_over())
    state = polls.state(poll)
    assert (state.failures, state.first_failure_at, state.baseline, state.note) == (0, None, "3", None)
    assert polls.audited(poll) == ["trigger.poll_failed", "trigger.updated"]


def test_a_baseline_that_the_database_refuses_stops_no_other(polls: Polls, site: Site) -> None:
    change(polls, "ALTER TABLE poll_states ADD CONSTRAINT unlucky CHECK (baseline <> '13')")
    good, bad, other = polls.make(), polls.make({"url": f"{polls.url}?13"}), polls.make()

    async def answer(exchange: Exchange) -> None:
        await exchange.send(json_answer(13 if "13" in exchange.request_line else 1))

    site.answer = answer
    polls.look(good, bad, other)
    assert [polls.state(each).baseline for each in (good, bad, other)] == ["1", None, "1"]
    assert [polls.get(each).is_enabled for each in (good, bad, other)] == [True, False, True]
    assert "trigger.quarantined" in polls.audited(bad)


STOPPED = {
    "paused": "UPDATE triggers SET is_enabled = false WHERE name LIKE 'p%'",
    "expired": "UPDATE triggers SET expires_at = clock_timestamp() WHERE name LIKE 'p%'",
    "spent": "UPDATE triggers SET max_fires = 1, fire_count = 1 WHERE name LIKE 'p%'",
}


@pytest.mark.parametrize("statement", STOPPED.values(), ids=STOPPED)
def test_what_may_not_fire_when_the_answer_comes_gets_no_baseline(
    polls: Polls, site: Site, statement: str
) -> None:
    """So that a change meanwhile fires once it may."""
    poll = polls.make()
    jobs = polls.queue(poll)

    async def answer(exchange: Exchange) -> None:
        await asyncio.to_thread(change, polls, statement)
        await exchange.send(json_answer(1))

    site.answer = answer
    polls.check(*jobs)
    state = polls.state(poll)
    assert (state.baseline, state.checking_until, state.poll_version) == (None, None, 1)


def test_an_edit_during_a_first_look_is_looked_at_anew(polls: Polls, site: Site) -> None:
    poll = polls.make()
    jobs = polls.queue(poll)

    async def answer(exchange: Exchange) -> None:
        await asyncio.to_thread(lambda: polls.edit(poll, config={"json_path": "$.a"}))
        await exchange.send(json_answer({"a": 1}))

    site.answer = answer
    polls.check(*jobs)
    assert polls.state(poll).baseline is None
    site.says({"a": 1})
    polls.check(*polls.pass_over())
    assert (polls.state(poll).baseline, polls.data(poll)) == ("1", [])


def test_a_long_baseline_is_stored_alone(polls: Polls, site: Site) -> None:
    made: list[TriggerView] = [polls.make() for _ in range(2)]
    site.says("x" * 70_000)
    polls.look(*made)
    assert transactions(polls) == 2
    assert all(len(polls.state(each).baseline) > 70_000 for each in made)
