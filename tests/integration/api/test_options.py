"""OPTIONS, and the accepted notations of a time."""

from __future__ import annotations

import re

import pytest
from werkzeug.routing import Rule

from tests.support.api import Api


def address(rule: Rule) -> str:
    """Returns an address that a rule serves."""
    numbered = rule.rule.replace("<int:number>", "1")
    return re.sub(r"<[^>]+>", "0198c0de-0000-7000-8000-000000000001", numbered)


def test_options_tells_what_may_be_done_with_every_address_without_a_key(shared: Api) -> None:
    """204 and Allow, on every existing route; unknown routes get no answer."""
    nobody = shared.as_(None)
    for rule in shared.app.url_map.iter_rules():
        if rule.websocket:
            continue
        response = nobody.call("OPTIONS", f"/{address(rule)}")
        assert (response.status_code, response.data) == (204, b""), rule
        assert (rule.methods or set()) <= set(response.headers["Allow"].split(", ")), rule
    nobody.refused(404, "OPTIONS", "/unknown")


def test_options_names_the_methods_of_all_views_of_an_address(shared: Api) -> None:
    """Views of several methods share an address."""
    allowed = shared.as_(None).call("OPTIONS", "/agents").headers["Allow"]
    assert allowed == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("at", ["2030-01-31T09:00:00z", "2030-01-31t09:00:00z", "2030-01-31t10:00:00.000+01:00"])
def test_times_may_have_small_letters(shared: Api, agent_id: str, at: str) -> None:
    """RFC 3339 section 5.6: `t` and `z` mean `T` and `Z`, in every field with a time."""
    body = {"name": at, "type": "once", "config": {"at": at}, "expires_at": at.replace("2030", "2031")}
    made = shared.post(f"/agents/{agent_id}/triggers", body)
    assert made["next_fire_at"] == "2030-01-31T09:00:00Z"
    assert made["expires_at"] == "2031-01-31T09:00:00Z"
    config = {"minutes": 60, "until": at}
    asked = {"type": "interval", "config": config, "after": "2030-01-31t07:30:00z", "count": 9}
    assert shared.post("/triggers/preview", asked, 200)["fire_times"] == ["2030-01-31T08:30:00+00:00"]
    shared.delete(f"/triggers/{made['id']}")
    replayed = {"since": at, "until": at}
    shared.refused(404, "POST", f"/triggers/{made['id']}/deliveries/replay", replayed)
