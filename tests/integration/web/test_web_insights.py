"""Figures over time, in the API and on the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from scheduler.domain.model import InvocationState
from scheduler.domain.periods import Step, period
from scheduler.storage.engine import Database
from scheduler.storage.read_models.insights import InsightsFilter, read_buckets, read_insights
from scheduler.storage.read_models.spans import first_id
from scheduler.storage.tenants import DEFAULT_TENANT
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.invocations import AgentWithTrigger, bring_to, make_agent_with_trigger
from tests.support.pages import signed_in

SPENT = "UPDATE agent_usage SET cost = 20"
NOW = datetime(2030, 3, 31, 12, tzinfo=UTC)
"""The day on which Berlin's clocks go forward."""


def put(
    db: Database, woken: AgentWithTrigger, at: datetime, state: str = "succeeded", *, late: float = 0.0
) -> None:
    """Creates a firing at `at` and the invocation that carried it, with 90 tokens."""
    count = rows(db, "SELECT count(*) FROM firings")[0][0]
    id_ = UUID(int=first_id(at).int + count)
    change(
        db,
        """
        WITH f AS (
            INSERT INTO firings (id, tenant_id, agent_id, trigger_id, trigger_name, trigger_type, reason,
                occurrence_key, fired_at, scheduled_for, invocation_id, root_id)
            SELECT :id, t.tenant_id, t.agent_id, t.id, t.name, t.type, '', CAST(:id AS text), :at,
                CAST(:at AS timestamptz) - make_interval(secs => :late), :id, :id FROM triggers t WHERE t.id = :trigger
            RETURNING id
        )
        INSERT INTO invocations (id, tenant_id, agent_id, state, opened_at, ready_at, firing_count, firing_ids,
            tokens_in, tokens_out, cost)
        SELECT f.id, a.tenant_id, a.id, :state, :at, :at, 1, ARRAY[f.id], 60, 30, 0.25
        FROM f, agents a WHERE a.id = :agent
        """,
        id=id_,
        at=at,
        late=late,
        state=state,
        trigger=woken.trigger_id,
        agent=woken.agent_id,
    )


def test_figures_are_summed_by_hours_and_days_of_a_zone_also_when_clocks_change(db: Database) -> None:
    ada, bob = make_agent_with_trigger(db, "ada"), make_agent_with_trigger(db, "bob")
    for ago in (1, 1, 20, 36):
        put(db, ada, NOW - timedelta(hours=ago), late=ago)
    put(db, bob, NOW - timedelta(hours=1, minutes=10), "dead")
    put(db, bob, NOW - timedelta(hours=1), "skipped")
    with db.begin() as conn:
        span = period(NOW - timedelta(hours=36), NOW, Step.DAY, "Europe/Berlin", NOW)
        days = read_buckets(conn, InsightsFilter(DEFAULT_TENANT, span))
        assert [(each.start.isoformat(), each.firings, each.wakes, each.failures) for each in days] == [
            ("2030-03-29T23:00:00+00:00", 2, 2, 0),
            ("2030-03-30T23:00:00+00:00", 4, 3, 1),
        ]
        assert days[1].start + timedelta(hours=23) > NOW
        span = period(NOW - timedelta(hours=24), NOW, Step.HOUR, "Asia/Kolkata", NOW)
        hours = read_buckets(conn, InsightsFilter(DEFAULT_TENANT, span, agent_id=ada.agent_id))
        assert len(hours) == 25
        assert {each.start.minute for each in hours} == {30}
        [busy] = [each for each in hours if each.firings > 1]
        assert (busy.wakes, busy.tokens_in, busy.tokens_out, float(busy.cost)) == (2, 120, 60, 0.5)
        assert (busy.lateness_p50, busy.lateness_max) == (1.0, 1.0)
        whole = read_insights(conn, InsightsFilter(DEFAULT_TENANT, span))
        assert [(each.name, each.failures, each.wakes) for each in whole.failing_agents] == [("bob", 1, 1)]
        assert [(each.agent_name, each.firings) for each in whole.noisy_triggers] == [("ada", 3), ("bob", 2)]
        assert whole.totals.wakes == sum(each.wakes for each in whole.buckets) == 4
        of_trigger = read_insights(conn, InsightsFilter(DEFAULT_TENANT, span, trigger_id=bob.trigger_id))
        assert (of_trigger.totals.firings, of_trigger.totals.wakes, of_trigger.totals.skipped) == (2, 1, 1)
        nobody = InsightsFilter(UUID(int=1), span, ada.agent_id, ada.trigger_id)
        assert read_insights(conn, nobody).totals.firings == 0


def test_the_api_gives_the_same_figures_and_says_what_is_wrong(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    bring_to(api.db, woken, InvocationState.DEAD)
    found = api.get("/insights")
    assert (found["step"], found["zone"], found["currency"], len(found["buckets"])) == ("hour", "UTC", "USD", 25)
    assert (found["totals"]["firings"], found["totals"]["wakes"], found["totals"]["failures"]) == (1, 1, 1)
    assert found["buckets"][-1]["start"][14:] == "00:00Z"
    assert [each["name"] for each in found["failing_agents"]] == ["ada"]
    assert found["month"]["budget"] is None
    [tenant] = api.get("/tenants")["items"]
    api.refused(422, "PATCH", f"/tenants/{tenant['id']}", {"cost_budget_per_month": 0})
    api.patch(f"/tenants/{tenant['id']}", {"cost_budget_per_month": 12.5})
    assert api.get("/insights")["month"]["budget"] == 12.5
    change(api.db, SPENT)
    assert api.get("/insights")["month"]["cost"] == 20.0
    page = signed_in(api).get("/insights")
    assert "20.00 of 12.50 USD" in page
    assert "over budget" in page
    assert found["month"]["start"] <= found["to"] <= found["month"]["end"]
    local = api.get("/insights", **{"from": "2030-01-01", "to": "2030-01-31", "zone": "America/New_York"})
    assert (local["step"], local["from"], len(local["buckets"])) == ("day", "2030-01-01T05:00:00Z", 31)
    for wrong in (
        {"from": "2030-01-02", "to": "2030-01-01"},
        {"from": "2020-01-01", "step": "hour"},
        {"from": "soon"},
        {"zone": "Mars/Base"},
        {"step": "minute"},
        {"agent": "ada"},
    ):
        api.refused(422, "GET", "/insights", query_string=wrong)


def test_the_page_shows_charts_their_numbers_and_the_extremes(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    bring_to(api.db, woken, InvocationState.DEAD)
    browser = signed_in(api)
    page = browser.get("/insights")
    assert page.count('role="img"') == 5
    assert 'aria-label="Wakes by hour: at most 1, ' in page
    assert f"/invocations?state=dead&amp;agent_id={woken.agent_id}" in page
    assert f'href="/triggers/{woken.trigger_id}"' in page
    assert "100 %" in page
    assert page.count("<tr>") > 25
    assert "at most 400 days" in browser.get("/insights", 422, **{"from": "2020-01-01"})
    assert "by day" in browser.get("/insights", range="30d", agent_id="ada")
    browser.get("/insights", 404, agent_id="nobody")
