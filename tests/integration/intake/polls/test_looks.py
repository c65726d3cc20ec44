"""Polls from a due slot to their firing, against a real server: what fires, and what is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scheduler.domain.errors import InvalidField, NotFound
from tests.support.factories import DEFAULT_TENANT
from tests.support.polls import Polls, Site, answered, json_answer


def test_the_first_look_is_at_once_and_only_the_baseline_then_each_change_fires_with_old_and_new(
    polls: Polls, site: Site
) -> None:
    poll = polls.make({"json_path": "$.job.state"})
    site.says({"job": {"state": "busy"}})
    polls.check(*polls.pass_over())
    assert polls.data(poll) == []
    polls.look(poll)
    assert polls.data(poll) == []
    site.says({"job": {"state": "done"}})
    polls.look(poll)
    polls.look(poll)
    assert polls.data(poll) == [{"old": "busy", "new": "done"}]
    (firing,) = polls.rows("SELECT trust, occurrence_key, scheduled_for FROM firings")
    assert (firing.trust, firing.occurrence_key, firing.scheduled_for) == ("unauthenticated", "poll:2", None)
    assert len(site.seen) == 4
    after = polls.get(poll)
    assert (after.fire_count, after.is_enabled) == (1, True)


def test_a_look_is_no_firing_and_moves_the_job_one_interval_on(polls: Polls) -> None:
    poll = polls.make({"interval_min": 7.5})
    polls.look(poll)
    looked = polls.get(poll)
    assert (looked.fire_count, looked.last_fired_at) == (0, None)
    (wait,) = polls.rows("SELECT next_run_time - clock_timestamp() AS time FROM jobs")
    assert timedelta(0) < wait.time <= timedelta(minutes=7.5)


def test_slots_that_passed_make_one_look_whatever_the_misfire_policy(polls: Polls) -> None:
    made = [polls.make(misfire_policy=policy, grace_seconds=0) for policy in ("latest", "all", "skip")]
    polls.look(*made)
    with polls.db.begin() as conn:
        conn.exec_driver_sql("UPDATE triggers SET anchor_at = anchor_at - interval '1 day'")
        conn.exec_driver_sql("UPDATE jobs SET next_run_time = next_run_time - interval '1 day'")
    (job,) = polls.pass_over()
    assert sorted(each for each, _ in job) == sorted(poll.id for poll in made)
    assert polls.pass_over() == []


def test_values_are_compared_as_json(polls: Polls, site: Site) -> None:
    poll = polls.make()
    for body in (b'{"a": 1, "b": [null]}', b' {"b": [null], "a": 1.0} ', b'{"b": [null], "a": 1e0}'):
        site.answer = answered(body=body)
        polls.look(poll)
    assert polls.data(poll) == []
    values: list[object] = [True, 1, None, [], "1"]
    for value in values:
        site.says(value)
        polls.look(poll)
    assert [each["new"] for each in polls.data(poll)] == values


def test_match_fires_at_the_first_look_and_again_on_becoming_equal(polls: Polls, site: Site) -> None:
    poll = polls.make({"json_path": "$.s", "fire_on": "match", "match_value": "5"})
    for value in (5, 5, 4, 3, 5.0):
        site.says({"s": value})
        polls.look(poll)
    assert polls.data(poll) == [{"new": 5}, {"old": 3, "new": 5.0}]


def test_a_match_that_repeats_fires_at_every_look_also_when_the_server_says_unchanged(
    polls: Polls, site: Site
) -> None:
    poll = polls.make({"fire_on": "match", "match_value": "up", "repeat": True})
    site.says("up", etag='"1"')
    polls.look(poll)
    site.answer = answered("304 Not Modified")
    polls.look(poll)
    site.says("down")
    polls.look(poll)
    assert polls.data(poll) == [{"new": "up"}, {"old": "up", "new": "up"}]


def test_the_request_is_made_as_configured_and_headers_are_kept_sealed(polls: Polls, site: Site) -> None:
    secret = "Bearer sesame"
    headers = {"authorization": secret, "accept": "text/plain"}
    config = {"method": "POST", "headers": headers, "body": {"query": "{jobs}"}}
    poll = polls.make(config)
    assert "headers" not in poll.config
    polls.look(poll)
    (asked,) = site.seen
    assert asked.request_line == "POST / HTTP/1.1"
    assert asked.body == b'{"query": "{jobs}"}'
    assert asked.headers["content-type"] == "application/json"
    assert (asked.headers["authorization"], asked.headers["accept"]) == (secret, "text/plain")
    for table in ("triggers", "poll_states", "procrastinate_jobs", "audit_events"):
        assert "sesame" not in str(polls.rows(f"SELECT * FROM {table}"))  # noqa: S608
    changed = polls.edit(poll, config={"headers": {"X-New": "1"}})
    assert "headers" not in changed.config
    polls.check(*polls.pass_over())
    assert (site.seen[-1].headers["authorization"], site.seen[-1].headers["x-new"]) == (secret, "1")


def test_the_last_answer_is_requested_conditionally_and_304_is_no_change(polls: Polls, site: Site) -> None:
    poll = polls.make()
    modified, date = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:02 GMT"
    site.says("a", etag='W/"1"', last_modified=modified, date=date)
    polls.look(poll)
    assert "if-none-match" not in site.seen[0].headers
    site.answer = answered("304 Not Modified", etag='W/"1"')
    polls.look(poll)
    asked = site.seen[1].headers
    assert (asked["if-none-match"], asked["if-modified-since"]) == ('W/"1"', modified)
    assert (polls.state(poll).baseline, polls.state(poll).failures, polls.data(poll)) == ('"a"', 0, [])
    site.says("b")
    polls.look(poll)
    assert polls.data(poll) == [{"old": "a", "new": "b"}]
    polls.look(poll)
    assert "if-none-match" not in site.seen[3].headers


def test_validators_that_cannot_be_sent_back_are_not_kept(polls: Polls, site: Site) -> None:
    poll = polls.make()
    site.says("a", etag='"' + "x" * 2000 + '"')
    polls.look(poll)
    site.answer = json_answer("a", etag="X").replace(b"X", b'"\xe9"')
    polls.look(poll)
    assert polls.state(poll).etag is None
    polls.look(poll)
    assert polls.state(poll).failures == 0


def test_a_post_is_never_conditional_so_its_304_is_a_failure(polls: Polls, site: Site) -> None:
    poll = polls.make({"method": "POST", "body": "x"})
    site.says("a", etag='"1"')
    polls.look(poll)
    site.answer = answered("304 Not Modified")
    polls.look(poll)
    assert "if-none-match" not in site.seen[1].headers
    assert (
        polls.state(poll).note == "The server answered HTTP 304; redirects are not followed: give the final URL."
    )


def test_strings_that_jsonb_refuses_are_seen_compared_and_shown(polls: Polls, site: Site) -> None:
    poll = polls.make()
    bodies = (
        rb'"a\u0000\\u0000"',
        rb'"a\u0000\\u0000"',
        rb'"\ud800"',
        rb'{"\u0000": "\\\u0000"}',
        rb'"\ud83d\ude00"',
    )
    for body in bodies:
        site.answer = answered(body=body)
        polls.look(poll)
    assert [each["new"] for each in polls.data(poll)] == ["?", {"\ufffd": "\\\ufffd"}, "\N{GRINNING FACE}"]
    assert polls.data(poll)[0]["old"] == "a\ufffd\\u0000"


def test_long_and_deep_values_are_cut_in_the_firing_and_whole_in_the_comparison(polls: Polls, site: Site) -> None:
    poll = polls.make()
    deep: object = 1
    for _ in range(100):
        deep = [deep]
    for value in ("x" * 500_000 + "a", "x" * 500_000 + "b", deep):
        site.says(value)
        polls.look(poll)
    first, second = polls.data(poll)
    assert (len(first["old"]), len(first["new"]), first["cut"]) == (64 * 1024, 64 * 1024, ["old", "new"])
    assert second["new"].startswith("[[[[")
    site.says([deep])
    polls.look(poll)
    assert "nested too deeply" in polls.state(poll).note


def test_max_fires_ends_the_poll_and_its_job_in_the_transaction_of_the_last_firing(polls: Polls) -> None:
    poll = polls.make({"fire_on": "match", "match_value": 1}, max_fires=1)
    polls.look(poll)
    ended = polls.get(poll)
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at) == (False, "max_fires", None)
    assert len(polls.data(poll)) == 1


def test_a_poll_can_be_fired_by_hand_without_a_look(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.triggers.fire(DEFAULT_TENANT, poll.id, actor="test")
    assert polls.data(poll) == [None]
    assert site.seen == []


def test_due_polls_are_queued_fifty_to_a_job_and_none_that_is_in_flight(polls: Polls, site: Site) -> None:
    made = [polls.make() for _ in range(120)]
    jobs = polls.pass_over()
    assert sorted(len(job) for job in jobs) == [20, 50, 50]
    assert polls.queue(*made) == []
    polls.check(*jobs)
    assert len(site.seen) == 120
    assert sum(len(job) for job in polls.queue(*made)) == 120


def test_a_lease_that_ran_out_queues_the_poll_again_and_only_one_result_is_taken(polls: Polls, site: Site) -> None:
    poll = polls.make({"fire_on": "match", "match_value": 1, "repeat": True})
    first = polls.pass_over()
    with polls.db.begin() as conn:
        conn.exec_driver_sql("UPDATE poll_states SET checking_until = clock_timestamp()")
    second = polls.queue(poll)
    assert first == second
    polls.check(*first, *second)
    assert len(polls.data(poll)) == 1
    polls.check(*first)
    assert len(site.seen) <= 2


def test_a_sealed_config_of_another_key_fails_that_poll_alone(polls: Polls) -> None:
    sealed, open_ = polls.make({"headers": {"A": "b"}}), polls.make()
    with polls.db.begin() as conn:
        conn.exec_driver_sql("UPDATE triggers SET secret = 'not ours' WHERE secret IS NOT NULL")
    polls.look(sealed, open_)
    assert "REVEILLE_SECRET_KEY" in polls.state(sealed).note
    assert polls.state(open_).baseline == "1"


def test_a_config_that_cannot_be_read_stops_no_other(polls: Polls) -> None:
    broken, sound = polls.make(), polls.make()
    with polls.db.begin() as conn:
        conn.exec_driver_sql(f"UPDATE triggers SET config = config - 'url' WHERE id = '{broken.id}'")  # noqa: S608
    polls.look(broken, sound)
    assert polls.state(sound).baseline == "1"


def test_private_urls_and_reserved_headers_are_refused_when_the_poll_is_made_or_changed(polls: Polls) -> None:
    for config, field in (
        ({"url": "http://10.0.0.1/"}, "config.url"),
        ({"url": "http://127.0.0.2/"}, "config.url"),
        ({"url": "ftp://x.example/"}, "config.url"),
        ({"headers": {"Host": "x"}}, "config.headers"),
        ({"headers": {"X-A": "a\nb"}}, "config.headers"),
        ({"headers": {"a b": "c"}}, "config.headers"),
    ):
        with pytest.raises(InvalidField) as refused:
            polls.make(config)
        assert refused.value.field == field
    poll = polls.make()
    with pytest.raises(InvalidField) as refused:
        polls.edit(poll, config={"url": "http://169.254.169.254/latest"})
    assert refused.value.field == "config.url"


def test_a_poll_of_a_deleted_trigger_is_dropped(polls: Polls, site: Site) -> None:
    poll = polls.make()
    jobs = polls.pass_over()
    polls.triggers.delete(DEFAULT_TENANT, poll.id, actor="test")
    polls.check(*jobs)
    assert site.seen == []
    with pytest.raises(NotFound):
        polls.get(poll)


def test_a_paused_poll_is_not_looked_at_and_compares_with_what_was_before_when_resumed(
    polls: Polls, site: Site
) -> None:
    poll = polls.make()
    polls.look(poll)
    polls.triggers.pause(DEFAULT_TENANT, poll.id, actor="test")
    assert polls.pass_over() == []
    site.says(2)
    polls.triggers.resume(DEFAULT_TENANT, poll.id, actor="test")
    polls.check(*polls.pass_over())
    assert polls.data(poll) == [{"old": 1, "new": 2}]
