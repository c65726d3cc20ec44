"""Who sees what on the history pages, and who may change it."""

from __future__ import annotations

import re
from uuid import UUID

from scheduler.domain.ids import new_id
from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed
from tests.support.api import Api, agent_body
from tests.support.database import change
from tests.support.hooks import make_hook
from tests.support.invocations import bring_to, close, end, make_agent_with_trigger, row_of, start
from tests.support.pages import signed_in

READS = (
    "/agents",
    "/invocations",
    "/sessions",
    "/deliveries",
    "/dead",
    "/approvals",
    "/audit",
    "/settings",
    "/settings/models",
    "/settings/notifications",
)


def test_who_only_reads_sees_the_lists_but_changes_nothing(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    dead = bring_to(api.db, woken, InvocationState.DEAD)
    reader = signed_in(api, api.with_key("read").key)
    for path in READS:
        page = reader.get(path)
        assert "Replay" not in page
        assert "/settings/keys" not in page
    assert ">Wake now<" not in reader.get(f"/agents/{woken.agent_id}")
    for path in (
        f"/agents/{woken.agent_id}/pause",
        f"/agents/{woken.agent_id}/wake",
        f"/invocations/{dead}/replay",
        "/dead/replay",
        "/settings/keys",
        "/settings/limits",
    ):
        assert reader.post(path).status_code == 403, path
    assert row_of(api.db, dead).replayed_into is None


def test_what_is_another_tenants_is_not_there(api: Api) -> None:
    hook = make_hook(api)
    firing = hook.accepted(b"secret words")
    agent_id = UUID(hook.trigger["agent_id"])
    change(api.db, "UPDATE invocations SET due_at = clock_timestamp()")
    [invocation] = close(api.db).ready
    end(api.db, start(api.db, invocation), Failed("no", permanent=True))
    delivery = hook.deliveries()[0]["id"]
    session = new_id()
    change(
        api.db,
        "INSERT INTO sessions (id, tenant_id, agent_id, channel, title, is_reflection)"
        " SELECT :id, tenant_id, id, 'trigger', 'secret words', true FROM agents WHERE id = :agent",
        id=session,
        agent=agent_id,
    )
    stranger = signed_in(api, api.with_key("admin", tenant_id=api.tenant("strangers")).key)
    for path in READS:
        page = stranger.get(path)
        assert str(agent_id) not in page, path
        assert "secret words" not in page, path
    for path in (
        f"/agents/{agent_id}",
        f"/invocations/{invocation}",
        f"/firings/{firing}",
        f"/firings/{firing}/payload",
        f"/sessions/{session}",
        f"/sessions?agent_id={agent_id}",
        f"/deliveries?trigger_id={hook.id}",
    ):
        stranger.get(path, 404)
    for path in (
        f"/agents/{agent_id}/pause",
        f"/agents/{agent_id}/resume",
        f"/invocations/{invocation}/replay",
        f"/invocations/{invocation}/cancel",
        f"/triggers/{hook.id}/deliveries/{delivery}/replay",
        f"/triggers/{hook.id}/approve",
        f"/triggers/{hook.id}/reject",
    ):
        assert stranger.post(path).status_code == 404, path
    assert stranger.post(f"/agents/{agent_id}/wake", message="hello").status_code == 404
    span = {"since": "2020-01-01", "until": "2090-01-01"}
    assert stranger.post(f"/triggers/{hook.id}/deliveries/replay", **span).status_code == 404
    stranger.post("/dead/replay", id=[str(invocation)])
    assert row_of(api.db, invocation).replayed_into is None


def test_a_form_without_its_token_changes_nothing(api: Api) -> None:
    agent = api.post("/agents", agent_body("ada"))
    browser = signed_in(api)
    for path in (f"/agents/{agent['id']}/pause", "/settings/keys", "/dead/replay"):
        assert browser.post(path, csrf="0" * 64).status_code == 403
    assert api.get(f"/agents/{agent['id']}")["is_paused"] is False


def test_nothing_is_inline_on_any_page(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    invocation = bring_to(api.db, woken, InvocationState.DEAD)
    browser = signed_in(api)
    forms = [f"/agents/new?kind={kind}" for kind in ("http", "llm", "a2a", "command")]
    for path in (*READS, *forms, f"/agents/{woken.agent_id}", f"/invocations/{invocation}"):
        page = browser.get(path)
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page), path
