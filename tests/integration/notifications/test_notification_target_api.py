"""Notification targets over the API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from scheduler.domain.clock import SystemClock
from scheduler.domain.signatures import SignatureConfig, SignedRequest, verify
from tests.support.api import Api, running_api
from tests.support.database import rows
from tests.support.polls import Site, answered, running_site


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as site:
        yield site


def test_targets_are_made_shown_without_their_secrets_tested_and_deleted(database_url: str, site: Site) -> None:
    with running_api(database_url, allow_private_hosts="127.0.0.1") as api:
        agent_id = api.agent()["id"]
        path = f"/agents/{agent_id}/notification-targets"
        made = api.post(path, {"name": "ops", "kind": "webhook", "url": site.url + "t0ken"})
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        shown = api.get(f"/notification-targets/{made['id']}")
        assert shown == made | {"secret": None}
        assert api.get(path)["items"] == [shown]
        assert shown["host"] == "127.0.0.1"
        assert "t0ken" not in str(shown)
        stored = bytes(rows(api.db, "SELECT secrets FROM notification_targets")[0][0])
        assert b"t0ken" not in stored
        assert api.post(f"/notification-targets/{made['id']}/test", status=200) == {
            "delivered": True,
            "error": None,
        }
        [seen] = site.seen
        config = SignatureConfig.model_validate({"scheme": "standard-webhooks", "secret": secret})
        assert verify(config, SignedRequest(seen.headers, seen.body), SystemClock().now()).accepted
        site.answer = answered("500 Oops", b"inner secret")
        tested = api.post(f"/notification-targets/{made['id']}/test", status=200)
        assert tested == {"delivered": False, "error": "The target answered HTTP 500."}
        api.delete(f"/notification-targets/{made['id']}")
        api.refused(404, "GET", f"/notification-targets/{made['id']}")
        actions = {row.action for row in rows(api.db, "SELECT action FROM audit_events")}
        assert {"notification_target.created", "notification_target.deleted"} <= actions


def test_bad_targets_are_refused(api: Api) -> None:
    agent_id = api.agent()["id"]
    path = f"/agents/{agent_id}/notification-targets"
    good = {"name": "ops", "kind": "slack", "url": "https://hooks.slack.com/services/T/B/x"}
    for fields, field in (
        ({"kind": "telegram"}, "kind"),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"secret": "x"}, "secret"),
        ({"kind": "webhook", "secret": "whsec_!"}, "secret"),
        ({"name": ""}, "name"),
    ):
        assert api.refused(422, "POST", path, good | fields)["field"] == field
    for number in range(10):
        api.post(path, good | {"name": str(number)})
    assert "at most 10" in api.refused(409, "POST", path, good)["detail"]
    other = f"/agents/{api.agent('eve')['id']}/notification-targets"
    api.post(other, good)
    assert api.refused(409, "POST", other, good)["field"] == "name"


def test_a_test_does_not_wait_for_ever(site: Site, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: object) -> None:
        await asyncio.sleep(30)

    monkeypatch.setattr("scheduler.notifications.deliveries.TIMEOUT_SECONDS", 0.3)
    site.answer = hang
    with running_api(database_url, allow_private_hosts="127.0.0.1") as api:
        agent_id = api.agent()["id"]
        body = {"name": "ops", "kind": "discord", "url": site.url}
        target_id = api.post(f"/agents/{agent_id}/notification-targets", body)["id"]
        began = datetime.now().astimezone()  # noqa: TID251  # a stopwatch
        tested = api.post(f"/notification-targets/{target_id}/test", status=200)
        assert datetime.now().astimezone() - began < timedelta(seconds=25)  # noqa: TID251
        assert "did not answer" in tested["error"]
