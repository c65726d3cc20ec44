"""Filters of webhooks: what they filter, what they may cost, and who pays."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from time import monotonic, sleep
from uuid import uuid4

from sqlalchemy import text

from scheduler.intake.processor_time import TimeBudget, Turns
from scheduler.intake.webhooks.delivery import Delivery, FilterPending, Filters
from scheduler.triggers.webhook import WebhookFilter
from tests.support.api import Api
from tests.support.hooks import NO_LIMIT, make_hook

COSTLY = "$..[?count(@..*)==77]"
NESTED = json.dumps([{"k": [{"z": [1, 2, {"q": [3, {"r": 4}]}]}] * 6}] * 210).encode()


def test_a_filtered_delivery_is_kept_with_its_reason_and_wakes_nobody(api: Api) -> None:
    """It uses up no rate, and its body is stored for a replay."""
    hook = make_hook(api, {"filter": {"json_path": "$.issue"}}, rate=1)
    for _ in range(3):
        response = hook.post(b'{"noise": 1}')
        assert response.status_code == 202
        assert response.json == {"firing_id": None, "duplicate": False, "filtered": True}
    hook.accepted(b'{"issue": 1}')
    assert hook.verdicts() == ["filtered"] * 3 + ["accepted"]
    assert hook.deliveries()[-1]["reason"] == "the body has nothing at $.issue"
    assert [firing.payload for firing in hook.firings()] == [b'{"issue": 1}']
    with api.db.begin() as conn:
        bodies = (
            conn.execute(text("SELECT body FROM webhook_deliveries WHERE verdict = 'filtered'")).scalars().all()
        )
    assert bodies == [b'{"noise": 1}'] * 3


def test_a_spent_rate_is_answered_before_the_filter_is_asked(api: Api) -> None:
    """What may not fire anyway is not filtered."""
    hook = make_hook(api, {"filter": {"json_path": "$.issue"}}, rate=1)
    hook.accepted(b'{"issue": 1}')
    hook.refused(429, b'{"noise": 1}')
    assert sorted(hook.verdicts()) == ["accepted", "rate_limited"]


def test_a_filter_that_takes_too_long_is_stopped_with_a_note(api: Api) -> None:
    """The delivery is stored, so it can be released; its trigger's audit trail says what happened."""
    hook = make_hook(api, {"filter": {"json_path": COSTLY}}, rate=NO_LIMIT)
    assert hook.post(NESTED).json == {"firing_id": None, "duplicate": False, "filtered": True}
    (delivery,) = hook.deliveries()
    assert delivery["verdict"] == "filtered" and "stopped" in delivery["reason"]
    (event,) = api.get("/audit", action="webhook.filter_stopped")["items"]
    assert (event["subject_id"], event["detail"]["delivery_id"]) == (hook.id, delivery["id"])
    api.post(f"/triggers/{hook.id}/deliveries/{delivery['id']}/replay", status=202)


def test_costly_filters_hold_no_transaction_and_delay_nobody_else(api: Api) -> None:
    """While twenty are running, a webhook of another tenant is answered as usual."""
    costly = make_hook(api, {"filter": {"json_path": COSTLY}}, rate=NO_LIMIT)
    plain = make_hook(api, rate=NO_LIMIT)
    plain.accepted()
    with ThreadPoolExecutor(20) as pool:
        sent = [pool.submit(costly.post, NESTED) for _ in range(20)]
        while not any(each.done() for each in sent):
            sleep(0.005)
        plain.accepted()
        assert not all(each.done() for each in sent)
    assert {each.result().status_code for each in sent} <= {202, 429}
    assert costly.firings() == []


def test_a_filter_that_is_changed_meanwhile_is_evaluated_again(api: Api) -> None:
    """The filter in effect when the delivery is recorded decides."""
    hook = make_hook(api, {"filter": {"json_path": "$.old"}}, rate=NO_LIMIT)
    intake = api.app.extensions.get("reveille.intake")
    assert intake is None
    hook.accepted(b'{"old": 1}')
    intake = api.app.extensions["reveille.intake"]
    ask = intake._filters.ask

    def ask_and_change(asked: FilterPending, delivery: Delivery) -> object:
        intake._filters.ask = ask
        result = ask(asked, delivery)
        with api.db.begin() as conn:
            new = '{"filter": {"json_path": "$.new"}}'
            conn.execute(text("UPDATE triggers SET config = CAST(:new AS jsonb)"), {"new": new})
        return result

    intake._filters.ask = ask_and_change
    assert hook.post(b'{"old": 1}').json["filtered"] is True  # type: ignore[index]
    hook.accepted(b'{"new": 1}')


def test_the_filters_of_an_agent_use_up_its_own_time() -> None:
    """Then its deliveries are refused for a while; another agent's are not, until the tenant's time is used up
    too.
    """
    filters = Filters(agent_seconds=0.1, tenant_seconds=1.0)
    rule, tenant = WebhookFilter(json_path=COSTLY), uuid4()
    delivery = Delivery(b"", {}, NESTED)
    first = FilterPending(rule, tenant, uuid4())
    refusals = [filters.ask(first, delivery).refusal for _ in range(4)]
    assert refusals[0] is None and "agent" in str(refusals[-1])
    assert 0 < filters.ask(first, delivery).retry_after <= 60
    assert filters.ask(FilterPending(rule, tenant, uuid4()), delivery).refusal is None
    refusals = [filters.ask(FilterPending(rule, tenant, uuid4()), delivery).refusal for _ in range(15)]
    assert "tenant" in str(refusals[-1])
    elsewhere = FilterPending(rule, uuid4(), uuid4())
    assert filters.ask(elsewhere, delivery).refusal is None


def test_a_time_budget_recovers_as_its_uses_leave_the_minute() -> None:
    """The wait lasts until enough of them have expired."""
    budget, owner = TimeBudget(1.0), uuid4()
    assert budget.wait(owner, 0.0) == 0
    budget.spend(owner, 0.0, 0.6)
    budget.spend(owner, 10.0, 0.6)
    assert budget.wait(owner, 20.0) == 40.0
    assert budget.wait(owner, 60.5) == 0


def test_those_who_wait_take_turns_by_owner() -> None:
    """An owner with many items waits behind one with few."""
    turns, order = Turns(), list[str]()
    greedy, modest = uuid4(), uuid4()

    def work(name: str, owner: object) -> None:
        with turns.turn(owner):  # type: ignore[arg-type]
            order.append(name)

    threads = [Thread(target=work, args=(f"greedy {n}", greedy)) for n in range(3)]
    threads.append(Thread(target=work, args=("modest", modest)))
    with turns.turn(greedy):
        for place, thread in enumerate(threads, 1):
            thread.start()
            until = monotonic() + 10
            while sum(map(len, turns._waiting.values())) < place and monotonic() < until:
                sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == ["greedy 0", "modest", "greedy 1", "greedy 2"]
