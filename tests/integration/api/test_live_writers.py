"""Firings, transitions of invocations, and changes of triggers and agents notify watchers."""

from __future__ import annotations

from uuid import UUID

from scheduler.storage.live import Change
from tests.integration.api.test_live import listening, until
from tests.support.api import Api
from tests.support.factories import DEFAULT_TENANT


def test_firings_moves_and_changes_reach_the_tenants_watchers(api: Api) -> None:
    agent = api.agent(dedup_delay_seconds=60)
    with api.services.live.subscribe(DEFAULT_TENANT) as watcher:
        listening(watcher, api.db)
        trigger = api.trigger(agent["id"])
        until(watcher, Change(DEFAULT_TENANT, "trigger", UUID(trigger["id"])))
        fired = api.post(f"/triggers/{trigger['id']}/fire", status=202)
        until(watcher, Change(DEFAULT_TENANT, "firing"))
        api.post(f"/invocations/{fired['invocation_id']}/cancel", status=200)
        until(watcher, Change(DEFAULT_TENANT, "invocation", UUID(fired["invocation_id"])))
        api.post(f"/agents/{agent['id']}/pause", status=200)
        until(watcher, Change(DEFAULT_TENANT, "agent", UUID(agent["id"])))


def test_what_another_tenant_does_is_not_told(api: Api) -> None:
    acme = api.as_(api.key, api.tenant("acme"))
    agent = api.agent()
    with api.services.live.subscribe(DEFAULT_TENANT) as watcher:
        listening(watcher, api.db)
        acme.post("/agents", {"name": "theirs", "runtime": {"kind": "command", "name": "echo"}})
        api.post(f"/agents/{agent['id']}/pause", status=200)
        seen = until(watcher, Change(DEFAULT_TENANT, "agent", UUID(agent["id"])))
        assert {change.tenant_id for change in seen if change.kind == "agent"} == {DEFAULT_TENANT}
