"""Lists are paged with a cursor that inserts do not move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest

from tests.support.api import Api, agent_body, trigger_body


def all_pages(api: Api, path: str, between: Callable[[], object], **query: object) -> list[str]:
    """Returns the ids on all pages of two, and does something between any two of them."""
    ids: list[str] = []
    after: dict[str, object] = {}
    while True:
        page = api.get(path, limit=2, **query, **after)
        assert len(page["items"]) <= 2
        ids += [item["id"] for item in page["items"]]
        if page["next"] is None:
            return ids
        assert page["next"] == ids[-1]
        after = {"after": page["next"]}
        between()


def make_next(make: Callable[[int], Any], numbers: Iterator[int]) -> None:
    """Creates one more."""
    make(next(numbers))


def makers(api: Api) -> dict[str, Callable[[int], Any]]:
    """Returns a function that creates the n-th item, for each list."""
    agent_id = api.agent("first")["id"]
    trigger_id = api.trigger(agent_id, "fires")["id"]

    def fire(_: int) -> Any:
        return api.post(f"/triggers/{trigger_id}/fire", None, 202)

    return {
        "/agents": lambda n: api.post("/agents", agent_body(f"a{n}")),
        "/triggers": lambda n: api.post(f"/agents/{agent_id}/triggers", trigger_body(f"t{n}")),
        f"/agents/{agent_id}/triggers": lambda n: api.post(f"/agents/{agent_id}/triggers", trigger_body(f"n{n}")),
        "/firings": fire,
        "/audit": fire,
        "/api-keys": lambda n: api.post("/api-keys", {"name": f"k{n}", "scopes": ["read"]}),
        "/tenants": lambda n: api.post("/tenants", {"name": f"t{n}"}),
    }


def test_pages_are_stable_while_items_are_made(api: Api) -> None:
    """Newest first; a reader sees each item that existed at the first page once, and nothing newer."""
    for path, make in makers(api).items():
        for number in range(3):
            make(number)
        whole = [item["id"] for item in api.get(path, limit=200)["items"]]
        assert whole == sorted(whole, reverse=True)
        assert all_pages(api, path, partial(make_next, make, count(100))) == whole, path


def test_a_deleted_item_breaks_no_page(api: Api) -> None:
    """The cursor is a position, not an item: its own item may be deleted meanwhile."""
    agents = [api.agent(f"a{number}") for number in range(4)]
    page = api.get("/agents", limit=2)
    api.delete(f"/agents/{page['next']}")
    rest = api.get("/agents", limit=2, after=page["next"])
    assert [item["id"] for item in rest["items"]] == [agents[1]["id"], agents[0]["id"]]
    assert rest["next"] is None


@pytest.mark.parametrize(("made", "expected"), [(2, [2]), (3, [2, 1]), (4, [2, 2]), (0, [0])])
def test_the_last_page_says_so(api: Api, made: int, expected: list[int]) -> None:
    """`next` is null exactly on the last page, even if that is full."""
    for number in range(made):
        api.agent(f"a{number}")
    sizes = []
    after: dict[str, object] = {}
    while True:
        page = api.get("/agents", limit=2, **after)
        sizes.append(len(page["items"]))
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert sizes == expected


def test_without_a_limit_there_are_fifty(api: Api) -> None:
    """And 200 at most."""
    agent_id = api.agent(max_triggers=20)["id"]
    trigger_id = api.trigger(agent_id)["id"]
    for _ in range(51):
        api.post(f"/triggers/{trigger_id}/fire", None, 202)
    page = api.get("/firings")
    assert len(page["items"]) == 50
    assert len(api.get("/firings", after=page["next"])["items"]) == 1
    assert len(api.get("/firings", limit=200)["items"]) == 51
