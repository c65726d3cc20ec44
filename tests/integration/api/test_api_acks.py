"""Acknowledgements over the API, and their counts."""

from __future__ import annotations

from scheduler.domain.ids import new_id
from scheduler.domain.run import Accepted, Replied
from tests.support.api import Api
from tests.support.database import change
from tests.support.invocations import AgentWithTrigger, close, end, fire, make_agent_with_trigger, run_once, start

LATER = "2031-01-01T00:00:00Z"


def acks_of(api: Api, woken: AgentWithTrigger) -> dict[str, int]:
    counts: dict[str, int] = api.get(f"/triggers/{woken.trigger_id}")["acks"]
    return counts


def test_a_firing_is_acknowledged_and_counted_on_its_trigger(api: Api) -> None:
    woken = make_agent_with_trigger(api.db)
    firings = fire(api.db, woken, 3)
    run_once(api.db, Replied("done"))
    assert acks_of(api, woken) == {"handled": 0, "deferred": 0, "ignored": 0}
    own = api.with_key(f"agent:{woken.agent_id}")
    handled = own.post(f"/firings/{firings[0]}/ack", {"status": "handled"}, 200)
    assert (handled["ack"], handled["deferred_until"], handled["state"]) == ("handled", None, "delivered")
    assert handled["acked_at"] is not None
    api.post(f"/firings/{firings[1]}/ack", {"status": "ignored"}, 200)
    deferred = api.post(f"/firings/{firings[2]}/ack", {"status": "deferred", "until": "2001-01-01T00:00:00Z"}, 200)
    assert deferred["deferred_until"] > deferred["acked_at"]
    assert acks_of(api, woken) == {"handled": 1, "deferred": 1, "ignored": 1}

    change(api.db, "UPDATE firings SET deferred_until = now() WHERE ack = 'deferred'")
    [again] = close(api.db).ready
    back = api.get(f"/firings/{firings[2]}")
    assert (back["ack"], back["state"], back["invocation_id"]) == (None, "pending", str(again))
    assert back["deferred_until"] is not None, "it shows that it was put off"
    assert acks_of(api, woken) == {"handled": 1, "deferred": 0, "ignored": 1}


def test_what_cannot_be_acknowledged_is_refused(api: Api) -> None:
    woken, stranger = make_agent_with_trigger(api.db), make_agent_with_trigger(api.db, "stranger")
    [firing] = fire(api.db, woken)
    path = f"/firings/{firing}/ack"
    api.refused(409, "POST", path, {"status": "handled"})
    run_once(api.db, Replied("done"))
    assert api.refused(422, "POST", path, {"status": "deferred"})["field"] == "until"
    assert api.refused(422, "POST", path, {"status": "handled", "until": LATER})["field"] == "until"
    assert api.refused(422, "POST", path, {"status": "done"})["field"] == "status"
    api.refused(422, "POST", path, {"status": "deferred", "until": "soon"})
    api.refused(404, "POST", f"/firings/{new_id()}/ack", {"status": "handled"})
    api.with_key(f"agent:{stranger.agent_id}").refused(404, "POST", path, {"status": "handled"})
    api.with_key("read").refused(403, "POST", path, {"status": "handled"})


def test_a_report_is_answered_with_the_result_of_each_acknowledgement(api: Api) -> None:
    woken = make_agent_with_trigger(api.db)
    firings = fire(api.db, woken, 2)
    [invocation_id] = close(api.db).ready
    claimed = start(api.db, invocation_id)
    end(api.db, claimed, Accepted())
    report = {
        "attempt": 1,
        "reply": "done",
        "acks": [
            {"firing_id": str(firings[0]), "status": "handled"},
            {"firing_id": "no id", "status": "handled"},
            7,
            {"firing_id": str(firings[1]), "status": "deferred", "until": LATER},
        ],
    }
    answer = api.as_(claimed.complete_token).post(f"/invocations/{invocation_id}/complete", report, 200)
    assert answer["state"] == "succeeded"
    told = [(each["status"], each["until"] is None, each["error"]) for each in answer["acks"]]
    assert told[:2] == [("handled", True, None), ("deferred", False, None)]
    assert [each["error"] is None for each in answer["acks"][2:]] == [False, False]
    assert acks_of(api, woken) == {"handled": 1, "deferred": 1, "ignored": 0}


def test_a_report_without_acknowledgements_is_answered_with_none(api: Api) -> None:
    fire(api.db, make_agent_with_trigger(api.db))
    [invocation_id] = close(api.db).ready
    start(api.db, invocation_id)
    done = api.post(f"/invocations/{invocation_id}/complete", {"attempt": 1, "reply": "done"}, 200)
    assert done["acks"] == []
