"""References of follow-ups reach exactly the one that is meant, whatever characters they contain."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.support.api import Api

REFS = [
    "/orders/42",
    "orders/42",
    "orders//42",
    "//orders/42/",
    "orders/42/",
    "a%2Fb",
    "a/b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a?b",
    "a#b",
    "a/resolve",
    "resolve",
    "a b+c%20d",
    "خانه\u200cمن",
]


def enabled(api: Api, agent_id: str) -> set[str]:
    return {each["focus_ref"] for each in api.get(f"/agents/{agent_id}/focus")["items"] if each["enabled"]}


@pytest.mark.parametrize("ref", REFS)
def test_an_escaped_reference_ends_its_own_triggers_and_no_others(shared: Api, ref: str) -> None:
    """Each of these is similar to the others; only one of them is ended."""
    agent_id = shared.agent(f"of {quote(ref)}")["id"]
    for each in REFS:
        shared.trigger(agent_id, f"for {quote(each)}", focus_ref=each)
    assert enabled(shared, agent_id) == set(REFS)
    shared.post(f"/agents/{agent_id}/focus/{quote(ref, safe='')}/resolve", None, 200)
    assert enabled(shared, agent_id) == set(REFS) - {ref}
    found = shared.get(f"/agents/{agent_id}/triggers", focus_ref=ref)["items"]
    assert [each["focus_ref"] for each in found] == [ref]


def test_slashes_need_no_escaping_and_lead_nowhere_else(shared: Api) -> None:
    """A leading or doubled slash belongs to the reference: no redirect, and no other one."""
    agent_id = shared.agent("slashes")["id"]
    for each in ("orders/42", "/orders/42"):
        shared.trigger(agent_id, each, focus_ref=each)
    shared.post(f"/agents/{agent_id}/focus//orders/42/resolve", None, 200)
    assert enabled(shared, agent_id) == {"orders/42"}
    for gone in ("//orders/42", "orders//42", "orders/42/", "./orders/42", "orders/./42"):
        shared.refused(404, "POST", f"/agents/{agent_id}/focus/{gone}/resolve")
    shared.refused(404, "POST", f"/agents/{agent_id}//focus/orders/42/resolve")
    assert enabled(shared, agent_id) == {"orders/42"}


def test_a_question_mark_that_was_not_escaped_ends_nothing(shared: Api) -> None:
    """Otherwise `a/resolve?b` would end `a`."""
    agent_id = shared.agent("questions")["id"]
    shared.trigger(agent_id, "a", focus_ref="a")
    shared.trigger(agent_id, "b", focus_ref="a/resolve?b")
    problem = shared.refused(404, "POST", f"/agents/{agent_id}/focus/a/resolve?b/resolve")
    assert "%3F" in problem["detail"]
    assert enabled(shared, agent_id) == {"a", "a/resolve?b"}
