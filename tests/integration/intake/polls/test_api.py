"""Polls through the API: tried before they are created, shown with what they saw, but never with their headers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.triggers.poll import PollConfig
from tests.integration.net.net_servers import Exchange
from tests.support.api import Api, running_api, trigger_body
from tests.support.polls import Site, answered
from tests.support.stepped_scheduler import stepped


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    """The web application, which may reach 127.0.0.1."""
    with running_api(database_url, allow_private_hosts="127.0.0.1") as running:
        yield running


def make_poll(api: Api, site: Site, **config: Any) -> Any:
    """Creates a poll of the site."""
    agent = api.agent(f"agent {len(api.get('/agents')['items'])}")
    body = trigger_body("poll", type="poll", config={"url": site.url, **config})
    return api.post(f"/agents/{agent['id']}/triggers", body)


def try_config(api: Api, **config: Any) -> Any:
    """Returns what a poll with this config would see."""
    return api.post("/triggers/try", {"type": "poll", "config": config}, 200)


def test_a_config_is_tried_before_it_is_made(api: Api, site: Site) -> None:
    site.says({"state": "done", "jobs": [1, 2]})
    seen = {"status": "found", "value_cut": False, "as_sent": None, "would_fire": False, "error": None}
    assert try_config(api, url=site.url, json_path="$.jobs[*]") == seen | {"value": [1, 2]}
    waited_for = {"json_path": "$.state", "fire_on": "match", "match_value": "done"}
    assert try_config(api, url=site.url, **waited_for) == seen | {"value": "done", "would_fire": True}
    assert try_config(api, url=site.url, json_path="$.nope") == {
        "status": "nothing_there",
        "value": None,
        "value_cut": False,
        "as_sent": None,
        "would_fire": False,
        "error": "The response has nothing at $.nope.",
    }
    site.answer = answered("200 OK", b'{"price": 10.00, "price": 1e400}')
    doubled = try_config(api, url=site.url)
    assert (doubled["value"], doubled["as_sent"]) == ({"price": "1e400"}, '{"price": 10.00, "price": 1e400}')
    site.answer = answered("404 Not Found")
    failed = try_config(api, url=site.url)
    assert (failed["status"], failed["error"]) == ("failed", "The server answered HTTP 404.")


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "config.url"),
        ({"url": "http://169.254.169.254/"}, "config.url"),
        ({"url": "http://10.0.0.1/"}, "config.url"),
        ({"url": "https://a.example/", "headers": {"Host": "b"}}, "config.headers"),
        ({"url": "https://a.example/", "json_path": "a"}, "config.json_path"),
        ({"url": "https://a.example/", "interval_min": 1}, "config.interval_min"),
    ],
)
def test_a_wrong_config_is_refused_by_its_field_and_not_requested(
    api: Api, config: dict[str, Any], field: str
) -> None:
    assert api.refused(422, "POST", "/triggers/try", {"type": "poll", "config": config})["field"] == field


def test_only_polls_can_be_tried(api: Api) -> None:
    body = {"type": "cron", "config": {"expr": "* * * * *"}}
    assert api.refused(422, "POST", "/triggers/try", body)["field"] == "type"
    trigger = api.trigger(api.agent()["id"])
    api.refused(409, "POST", f"/triggers/{trigger['id']}/try")
    api.refused(409, "GET", f"/triggers/{trigger['id']}/poll")


def test_a_poll_is_tried_with_its_sealed_headers_and_nothing_is_recorded(api: Api, site: Site) -> None:
    poll = make_poll(api, site, headers={"Authorization": "Bearer sesame"})
    with api.db.begin() as conn:
        conn.execute(
            text("INSERT INTO poll_states (trigger_id, fingerprint, baseline) VALUES (:id, :print, '7')"),
            {"id": UUID(poll["id"]), "print": _fingerprint(poll)},
        )
    tried = api.post(f"/triggers/{poll['id']}/try", None, 200)
    assert site.seen[0].headers["authorization"] == "Bearer sesame"
    assert (tried["value"], tried["would_fire"]) == (1, True)
    with api.db.begin() as conn:
        assert conn.execute(text("SELECT baseline, poll_version, checked_at FROM poll_states")).all() == [
            ("7", 0, None)
        ]
        assert conn.execute(text("SELECT 1 FROM firings")).all() == []


def test_a_poll_that_is_fired_by_hand_looks_first(api: Api, site: Site) -> None:
    poll = make_poll(api, site, json_path="$.state")
    path = f"/triggers/{poll['id']}/fire"
    site.says({"state": "done"})
    with_value = api.post(path, None, 202)["firing_id"]
    site.says({})
    with_nothing = api.post(path, None, 202)["firing_id"]
    site.answer = answered("404 Not Found")
    without = api.post(path, None, 202)["firing_id"]
    api.post(f"/triggers/{poll['id']}/pause", None, 200)
    looks = len(site.seen)
    api.refused(409, "POST", path)
    assert len(site.seen) == looks
    with api.db.begin() as conn:
        found = {str(each.id): each for each in conn.execute(text("SELECT id, data, trust FROM firings"))}
    assert (found[with_value].data, found[with_value].trust) == ({"new": "done"}, "unauthenticated")
    assert found[with_nothing].data == {"new": None, "nothing": ["new"]}
    assert found[without].data in (None, {})


def test_a_repeated_request_to_fire_does_not_look_again(api: Api, site: Site) -> None:
    path = f"/triggers/{make_poll(api, site)['id']}/fire"
    keyed = {"headers": {"Idempotency-Key": "once"}}
    fired = [api.ok(api.call("POST", path, **keyed), 202) for _ in range(3)]
    assert [each["duplicate"] for each in fired] == [False, True, True]
    assert (len({each["firing_id"] for each in fired}), len(site.seen)) == (1, 1)


def _fingerprint(poll: Any) -> str:
    return PollConfig.model_construct(**poll["config"]).fingerprint()


def test_headers_are_never_shown_again(api: Api, site: Site) -> None:
    poll = make_poll(api, site, headers={"Authorization": "Bearer sesame"})
    path = f"/triggers/{poll['id']}"
    changed = api.patch(path, {"config": {"headers": {"X-Key": "sesame too"}}})
    shown = [poll, changed, api.get(path), api.get("/triggers"), api.get("/audit"), api.get(f"{path}/poll")]
    assert "sesame" not in json.dumps(shown)
    assert "headers" not in json.dumps([each for each in shown if "config" in each])


def test_a_poll_shows_what_it_saw_and_what_is_wrong(api: Api, site: Site) -> None:
    poll = make_poll(api, site)
    path = f"/triggers/{poll['id']}/poll"
    fresh = {"checked_at": None, "failures": 0, "first_failure_at": None, "note": None}
    assert api.get(path) == fresh | {"is_seen": False, "value": None, "value_cut": False, "as_sent": None}
    with stepped(api.db) as scheduler:
        scheduler.run_pass()
    with api.db.begin() as conn:
        conn.execute(
            text("UPDATE poll_states SET fingerprint = :print, baseline = :seen, failures = 2, note = 'HTTP 500'"),
            {"print": _fingerprint(poll), "seen": '"a\\u0000\\ud800"'},
        )
    seen = api.get(path)
    assert (seen["is_seen"], seen["value"], seen["failures"], seen["note"]) == (True, "a\ufffd?", 2, "HTTP 500")
    api.patch(f"/triggers/{poll['id']}", {"config": {"json_path": "$.other"}})
    assert api.get(path)["is_seen"] is False


def test_trying_takes_the_write_scope_or_the_agents_own_key(api: Api, site: Site) -> None:
    poll = make_poll(api, site)
    other = api.agent("other")
    paths = (f"/triggers/{poll['id']}/try", f"/triggers/{poll['id']}/poll")
    own, stranger = api.with_key(f"agent:{poll['agent_id']}"), api.with_key(f"agent:{other['id']}")
    own.post(paths[0], None, 200)
    own.get(paths[1])
    stranger.refused(404, "POST", paths[0])
    stranger.refused(404, "GET", paths[1])
    api.with_key("read").refused(403, "POST", paths[0])
    api.with_key("read").refused(403, "POST", "/triggers/try", {"config": {"url": site.url}})
    tenant = api.tenant("acme")
    api.as_(api.key, tenant).refused(404, "GET", paths[1])
    api.as_(None).refused(401, "POST", "/triggers/try", {"config": {"url": site.url}})


def test_tries_that_hang_leave_threads_for_the_others(api: Api, site: Site) -> None:
    arrived, answer_now = threading.Semaphore(0), threading.Event()

    async def hang(exchange: Exchange) -> None:
        arrived.release()
        while not answer_now.is_set():
            await asyncio.sleep(0.01)
        await exchange.send(answered(body=b"1"))

    site.answer = hang
    results: list[Any] = []
    other = api.with_key("write", tenant_id=api.tenant("other"))
    threads = [threading.Thread(target=lambda: results.append(try_config(api, url=site.url))) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert arrived.acquire(timeout=10)
    refused = api.call("POST", "/triggers/try", {"config": {"url": site.url}})
    site.says("another tenant's")
    tried = other.post("/triggers/try", {"config": {"url": site.url}}, 200)
    answer_now.set()
    for thread in threads:
        thread.join()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")
    assert tried["value"] == "another tenant's"
    assert [each["value"] for each in results] == [1, 1]
    site.says(1)
    assert try_config(api, url=site.url)["value"] == 1


def test_tries_are_audited_and_keep_a_pace(api: Api, site: Site) -> None:
    """Each is a request to an address of the caller's choice: all are audited and their number is limited."""
    url = f"{site.url.rstrip('/')}/a?key=sesame"
    for _ in range(30):
        try_config(api, url=url)
    refused = api.call("POST", "/triggers/try", {"config": {"url": url}})
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert len(site.seen) == 30
    events = api.get("/audit", action="trigger.tried", limit=100)["items"]
    assert len(events) == 30
    assert events[0]["detail"] == {"method": "GET", "url": url.partition("?")[0]}
    assert "sesame" not in str(events)
    other = api.with_key("write")
    assert other.post("/triggers/try", {"config": {"url": url}}, 200)["status"] == "found"


def test_the_try_of_a_poll_names_its_trigger(api: Api, site: Site) -> None:
    poll = make_poll(api, site)
    api.post(f"/triggers/{poll['id']}/try", None, 200)
    (event,) = api.get("/audit", action="trigger.tried")["items"]
    assert event["subject_id"] == poll["id"]


def test_the_names_of_headers_are_shown_and_their_values_never(api: Api, site: Site) -> None:
    poll = make_poll(api, site, headers={"Authorization": "sesame", "X-A": "1"})
    path = f"/triggers/{poll['id']}"
    assert api.get(path)["header_names"] == ["Authorization", "X-A"]
    api.patch(path, {"config": {"headers": {"authorization": "sesame 2", "x-a": None}}})
    shown = api.get(path)
    assert shown["header_names"] == ["authorization"]
    assert "sesame" not in str(shown)
    twice = {"url": site.url, "headers": {"A": "1", "a": "2"}}
    assert api.refused(422, "POST", "/triggers/try", {"config": twice})["field"] == "config.headers"
