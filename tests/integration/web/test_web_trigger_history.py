"""A trigger's history on its page, and the pages of firings whose trigger was deleted."""

from __future__ import annotations

import re

import pytest

from scheduler.domain.ids import new_id
from tests.support.api import Api
from tests.support.database import change
from tests.support.pages import Browser, signed_in


@pytest.fixture
def browser(api: Api) -> Browser:
    return signed_in(api)


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent("ada")["id"])


def test_the_history_says_why_slots_did_not_fire(api: Api, browser: Browser, agent_id: str) -> None:
    trigger = api.trigger(agent_id, "tick")
    change(
        api.db,
        """INSERT INTO audit_events (id, tenant_id, actor, action, subject_type, subject_id, detail)
        SELECT gen_random_uuid(), tenant_id, 'system', 'trigger.skipped', 'trigger', id,
            '{"first": "2026-01-01T00:00:00Z", "last": "2026-01-01T02:00:00Z", "count": 3, "exact": true}'
        FROM triggers WHERE id = :id""",
        id=trigger["id"],
    )
    page = re.sub("<[^>]*>", "", browser.get(f"/triggers/{trigger['id']}"))
    assert re.search(r"3 missed runs from .* 01 Jan( 2026)? 00:00 to .* 01 Jan( 2026)? 02:00 skipped", page)


def test_the_history_says_how_many_slots_passed_in_a_pause(api: Api, browser: Browser, agent_id: str) -> None:
    path = f"/triggers/{api.trigger(agent_id, 'tick', type='cron', config={'expr': '* * * * *'})['id']}"
    browser.post(f"{path}/pause")
    change(api.db, "UPDATE audit_events SET at = at - interval '3 minutes' WHERE action = 'trigger.paused'")
    assert "3 runs have been missed since." in browser.get(path)
    browser.post(f"{path}/resume")
    assert "3 runs missed until it was resumed." in browser.get(path)


def test_what_a_deleted_trigger_recorded_links_to_no_page_of_it(api: Api, browser: Browser, agent_id: str) -> None:
    trigger = api.trigger(agent_id, "tick")
    fired = browser.post(f"/triggers/{trigger['id']}/fire").location
    (firing,) = api.get("/firings")["items"]
    assert f"/triggers/{trigger['id']}" in browser.get(fired)
    browser.post(f"/triggers/{trigger['id']}/delete")
    for page in (browser.get(fired), browser.get(f"/firings/{firing['id']}")):
        assert f"/triggers/{trigger['id']}" not in page
        assert "(deleted)" in page


def test_the_history_names_filtered_deliveries_and_budgets_that_held(
    api: Api, browser: Browser, agent_id: str
) -> None:
    trigger = api.trigger(agent_id, "bell", type="webhook", config={})
    change(
        api.db,
        """INSERT INTO webhook_deliveries (id, tenant_id, trigger_id, verdict, reason, size)
        SELECT :new, tenant_id, id, 'filtered', 'no urgent order', 2 FROM triggers WHERE id = :id""",
        id=trigger["id"],
        new=new_id(),
    )
    change(
        api.db,
        """INSERT INTO audit_events (id, tenant_id, actor, action, subject_type, subject_id, agent_id, detail)
        SELECT :new, tenant_id, 'system', 'agent.budget_spent', 'agent', id, id,
            '{"budget": "invocations_per_hour", "used": 7, "limit": 7}' FROM agents WHERE id = :id""",
        id=agent_id,
        new=new_id(),
    )
    page = re.sub("<[^>]*>", "", browser.get(f"/triggers/{trigger['id']}"))
    assert "did not pass the filter: no urgent order." in page
    assert "The budget of its agent was spent (7 of 7 invocations this hour)." in page
