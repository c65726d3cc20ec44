"""Polls whose server answers badly: nothing fires, the baseline stays, and the failures are reported."""

from __future__ import annotations

import asyncio
import gzip
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from scheduler.intake.polls import check
from scheduler.intake.polls import look as looks
from scheduler.intake.polls.settle import MAX_FAILURES, backoff
from scheduler.storage.read_models.triggers import TriggerView
from tests.integration.net.net_servers import Exchange
from tests.support.database import change
from tests.support.factories import DEFAULT_TENANT
from tests.support.polls import Polls, Site, answered, json_answer

MINUTE = timedelta(minutes=1)


def wait_of(polls: Polls, poll: TriggerView) -> timedelta:
    """Returns the time from the last check to the next."""
    (row,) = polls.rows(
        "SELECT j.next_run_time - s.checked_at AS wait FROM jobs j JOIN poll_states s USING (trigger_id) "
        "WHERE trigger_id = :id",
        id=poll.id,
    )
    wait: timedelta = row.wait
    return wait


BAD_ANSWERS = {
    "not JSON": (answered(body=b"<html>"), "The response is not JSON: Expecting value"),
    "cut off JSON": (answered(body=b'{"a": '), "The response is not JSON: Expecting value"),
    "two values": (answered(body=b"1 2"), "The response is not JSON: Extra data"),
    "NaN": (answered(body=b"NaN"), "The response is not JSON: NaN"),
    "minus infinity": (answered(body=b"[-Infinity]"), "The response is not JSON: -Infinity"),
    "beyond all numbers": (
        answered(body=b"1e9999999999999999999"),
        "The response is not JSON: the number 1e99999",
    ),
    "not UTF-8": (answered(body=b'"\xff"'), "The response is not JSON: 'utf-8' codec"),
    "endless nesting": (answered(body=b"[" * 200_000), "nested too deeply"),
    "empty": (answered(), "The response is empty."),
    "blank": (answered(body=b" \r\n"), "The response is empty."),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "The response is empty."),
    "huge": (answered(body=b'"' + b"a" * 1024 * 1024 + b'"'), "larger than 1048576 bytes"),
    "a gzip bomb": (
        answered(body=gzip.compress(b" " * 200_000_000, 1), content_encoding="gzip"),
        "larger than 1048576 bytes",
    ),
    "damaged gzip": (answered(body=b"\x1f\x8b\x08junk", content_encoding="gzip"), "damaged"),
    "an encoding not offered": (answered(body=b"1", content_encoding="br"), "only gzip, deflate were offered"),
    "not HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", "was cut off"),
    "cut off": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1", "was cut off"),
    "404": (answered("404 Not Found", b"1"), "The server answered HTTP 404."),
    "500": (answered("500 Oops", b"1"), "The server answered HTTP 500."),
    "304 that nobody asked for": (answered("304 Not Modified"), "The server answered HTTP 304"),
    "a redirect to a private address": (
        answered("302 Found", b"2", location="http://169.254.169.254/latest/meta-data"),
        "redirects are not followed",
    ),
}


def test_bad_answers_fire_nothing_keep_the_baseline_and_are_noted(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)
    for failures, (what, (answer, note)) in enumerate(BAD_ANSWERS.items(), 1):
        site.answer = answer
        polls.look(poll)
        state = polls.state(poll)
        assert (state.failures, state.baseline, state.checking_until) == (failures, "1", None), what
        assert note in state.note, what
    assert len(site.seen) == 1 + len(BAD_ANSWERS)
    assert polls.data(poll) == []
    site.says(2)
    polls.look(poll)
    assert polls.data(poll) == [{"old": 1, "new": 2}]


def test_a_decompression_bomb_is_not_inflated(polls: Polls, site: Site) -> None:
    site.answer = BAD_ANSWERS["a gzip bomb"][0]
    poll = polls.make()
    started = time.process_time()
    polls.look(poll)
    assert time.process_time() - started < 1
    assert polls.state(poll).failures == 1


def test_a_path_that_costs_too_much_fails_without_holding_up_its_neighbours(
    polls: Polls, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "GATHERED_SECONDS", 0.05)
    site.says([0, *["a" * 3000] * 300])
    costly = polls.make({"json_path": "$[?match(@, '((a+)+)+b')]"})
    cheap = polls.make({"json_path": "$[0]"})
    polls.look(costly, cheap)
    assert "takes too long" in polls.state(costly).note
    assert polls.state(cheap).baseline == "0"
    assert polls.state(cheap).checked_at < polls.state(costly).checked_at


def test_a_server_that_drips_is_given_up_in_time_and_its_neighbours_do_not_wait(
    polls: Polls, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "LOOK_SECONDS", 1.0)

    async def drip(exchange: Exchange) -> None:
        if "slow" not in exchange.request_line:
            return await exchange.send(json_answer(2))
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await exchange.send(b" ")
            await asyncio.sleep(0.05)

    slow, quick = polls.make({"url": f"{site.url}slow"}), polls.make()
    polls.look(quick)
    site.answer = drip
    polls.look(slow, quick)
    assert "did not answer in full within 1 s" in polls.state(slow).note
    (late,) = polls.rows(
        "SELECT s.checked_at - f.fired_at AS by FROM firings f, poll_states s WHERE s.failures = 1"
    )
    assert late.by > timedelta(seconds=0.8)


def test_a_host_that_does_not_resolve_or_refuses_fails(polls: Polls) -> None:
    nowhere = polls.make({"url": "http://nowhere.invalid/"})
    closed = polls.make({"url": "http://127.0.0.1:1024/"})
    polls.look(nowhere, closed)
    assert "does not resolve" in polls.state(nowhere).note
    assert "No connection to 127.0.0.1" in polls.state(closed).note


def test_the_first_failure_and_the_recovery_are_audited_and_the_others_are_not(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)
    site.answer = answered("503 Later")
    for _ in range(3):
        polls.look(poll)
    first_failure_at = polls.state(poll).first_failure_at
    site.says(1)
    polls.look(poll)
    polls.look(poll)
    assert polls.audited(poll) == ["trigger.poll_failed", "trigger.poll_recovered"]
    failed, recovered = polls.rows("SELECT detail FROM audit_events WHERE action LIKE 'trigger.poll%' ORDER BY id")
    assert failed.detail == {"why": "The server answered HTTP 503."}
    assert recovered.detail == {"failures": 3, "since": first_failure_at.isoformat()}
    state = polls.state(poll)
    assert (state.failures, state.first_failure_at, state.note) == (0, None, None)


def test_after_failures_it_is_looked_at_sooner_at_first_and_never_later_than_by_its_interval(
    polls: Polls, site: Site
) -> None:
    poll = polls.make({"interval_min": 6})
    site.answer = answered("500 Oops")
    for minutes in (1, 2, 4):
        polls.look(poll)
        assert 0.79 * minutes * MINUTE < wait_of(polls, poll) < 1.21 * minutes * MINUTE
    polls.look(poll)
    assert wait_of(polls, poll) <= 6 * MINUTE
    site.says(1)
    polls.look(poll)
    grid = polls.rows("SELECT next_run_time - anchor_at AS wait FROM jobs JOIN triggers ON id = trigger_id")
    assert grid[0].wait % timedelta(minutes=6) == timedelta(0)


def test_the_backoff_grows_by_two_and_is_capped_by_the_interval() -> None:
    hour = timedelta(hours=1)
    waits = [backoff(failures, hour, 0.0) / MINUTE for failures in range(1, 10)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert backoff(49, timedelta(days=366), 0.2) == timedelta(days=366)
    assert backoff(1, hour, -0.2) == 0.8 * MINUTE


@pytest.mark.parametrize("status", ["429 Slow Down", "503 Later", "301 Moved"])
@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured_beyond_the_interval(polls: Polls, site: Site, status: str, as_date: bool) -> None:
    poll = polls.make()
    until = datetime.now(UTC) + timedelta(hours=2)  # noqa: TID251  # what a server would say
    site.answer = answered(status, retry_after=format_datetime(until, usegmt=True) if as_date else "7200")
    polls.look(poll)
    assert 119 * MINUTE < wait_of(polls, poll) < 121 * MINUTE
    assert polls.pass_over() == []


def test_retry_after_is_bounded_and_never_brings_a_look_forward(polls: Polls, site: Site) -> None:
    poll = polls.make()
    site.answer = answered("503 Later", retry_after="99999999999")
    polls.look(poll)
    assert timedelta(hours=23.9) < wait_of(polls, poll) < timedelta(hours=24.1)
    for useless in (
        "0",
        "-5",
        "soon",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999",
    ):
        site.answer = answered("503 Later", retry_after=useless)
        polls.look(poll)
        assert MINUTE < wait_of(polls, poll) <= 5.1 * MINUTE


def test_a_server_that_says_when_to_come_back_does_not_pause_the_poll_for_a_day(polls: Polls, site: Site) -> None:
    poll = polls.make()
    site.answer = answered("429 Slow Down", retry_after="1")
    for _ in range(3):
        polls.look(poll)
        assert wait_of(polls, poll) > 4.9 * MINUTE, "it is not looked at sooner than by its interval"
    assert polls.state(poll).failures == 1
    assert polls.audited(poll) == ["trigger.poll_failed"]
    change(polls.db, "UPDATE poll_states SET first_failure_at = now() - interval '24 hours'")
    polls.look(poll)
    assert polls.state(poll).failures == 2


def test_fifty_failures_in_a_row_pause_the_poll_with_a_note_and_a_resumed_one_has_fifty_more(
    polls: Polls, site: Site
) -> None:
    poll = polls.make()
    site.answer = answered("500 Oops")
    for _ in range(MAX_FAILURES - 1):
        polls.look(poll)
    assert polls.get(poll).is_enabled
    polls.look(poll)
    paused = polls.get(poll)
    assert (paused.is_enabled, paused.next_fire_at) == (False, None)
    assert paused.paused_note == "50 consecutive checks failed; the last one: The server answered HTTP 500."
    assert polls.audited(poll) == ["trigger.poll_failed", "trigger.paused"]
    assert polls.pass_over() == []
    polls.triggers.resume(DEFAULT_TENANT, poll.id, actor="test")
    polls.check(*polls.pass_over())
    assert polls.get(poll).is_enabled
    assert polls.state(poll).failures == 1


def test_a_good_answer_without_the_path_ends_a_series_of_failures(polls: Polls, site: Site) -> None:
    poll = polls.make({"json_path": "$.a"})
    site.answer = answered("500 Oops")
    polls.look(poll)
    site.says({})
    polls.look(poll)
    assert polls.audited(poll) == ["trigger.poll_failed", "trigger.poll_recovered"]
    state = polls.state(poll)
    assert (state.failures, state.baseline, state.note) == (0, "", "The response has nothing at $.a.")
