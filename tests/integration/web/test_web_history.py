"""The history pages: invocations, firings, sessions, the audit trail."""

from __future__ import annotations

import re

import pytest
from markupsafe import escape

from scheduler.domain.ids import new_id
from scheduler.domain.model import InvocationState, Trust
from scheduler.domain.run import Failed, Replied
from tests.support.api import Api
from tests.support.database import change
from tests.support.invocations import (
    bring_to,
    end,
    fire,
    make_agent_with_trigger,
    ready_one,
    row_of,
    run_once,
    start,
)
from tests.support.pages import signed_in

SCRIPT = b"<script>alert('woken')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;woken&#39;)&lt;/script&gt;"
KIB = 1024


def test_invocations_are_listed_by_agent_and_by_state_a_page_at_a_time(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    other = make_agent_with_trigger(api.db, "bob")
    dead = bring_to(api.db, other, InvocationState.DEAD)
    for _ in range(51):
        bring_to(api.db, woken, InvocationState.SUCCEEDED)
    browser = signed_in(api)
    first = browser.get("/invocations")
    assert first.count('class="mono" href="/invocations/') == 50
    older = re.search(r'href="(/invocations\?after=[^"]+)" rel="next"', first)
    assert older
    assert str(dead) in browser.get(older[1])
    assert str(dead) in browser.get("/invocations", state="dead")
    assert str(dead) not in browser.get("/invocations", agent_id=str(woken.agent_id))
    browser.get("/invocations", 422, state="asleep")


def test_an_invocation_shows_what_woke_the_agent_what_it_saw_and_each_try(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    fire(api.db, woken, payload=b'{"disk": "full"}', content_type="application/json", trust=Trust.UNAUTHENTICATED)
    invocation = run_once(api.db, Failed("the agent <b>hung</b>", permanent=True))
    change(
        api.db,
        "UPDATE invocations SET context = :text, tokens_in = 1200, tokens_out = 34, cost = 0.05 WHERE id = :id",
        id=invocation,
        text="You were woken <by> a webhook.",
    )
    page = signed_in(api).get(f"/invocations/{invocation}")
    for shown in (
        "{&#34;disk&#34;: &#34;full&#34;}",
        "unauthenticated",
        "You were woken &lt;by&gt; a webhook.",
        "the agent &lt;b&gt;hung&lt;/b&gt;",
        "1200 in, 34 out",
        "0.05",
        "/payload",
        ">Replay<",
    ):
        assert shown in page, shown


@pytest.mark.parametrize("payload", [SCRIPT, SCRIPT + b"x" * (64 * KIB - len(SCRIPT))])
def test_a_payload_is_text_on_every_page_and_only_ever_downloaded(api: Api, payload: bytes) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    [firing] = fire(api.db, woken, payload=payload, content_type="text/html")
    invocation = run_once(api.db, Replied(SCRIPT.decode()))
    browser = signed_in(api)
    for path in (f"/invocations/{invocation}", f"/firings/{firing}"):
        page = browser.get(path)
        assert "<script>alert" not in page
        assert ESCAPED in page
    assert str(escape(payload.decode()))[-20:] in page
    download = browser.client.get(f"/firings/{firing}/payload")
    assert download.data == payload
    assert download.headers["Content-Disposition"].startswith("attachment")
    assert download.headers["Content-Type"] == "application/octet-stream"
    assert download.headers["X-Content-Type-Options"] == "nosniff"


def test_bytes_that_are_no_text_are_only_downloaded(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    [firing] = fire(api.db, woken, payload=b"\xff\x00\xfe")
    assert "Binary content" in signed_in(api).get(f"/firings/{firing}")


def test_the_firings_of_an_invocation_are_shown_some_at_a_time(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    ids = fire(api.db, woken, 25)
    invocation = run_once(api.db, Replied("done"))
    browser = signed_in(api)
    assert f"/firings/{ids[19]}" in browser.get(f"/invocations/{invocation}")
    following = browser.get(f"/invocations/{invocation}", after=str(ids[19]))
    assert f"/firings/{ids[24]}" in following
    assert f"/firings/{ids[19]}" not in following


def test_the_chain_of_wakes_is_shown_upwards_and_downwards(api: Api) -> None:
    first, second = make_agent_with_trigger(api.db, "ada"), make_agent_with_trigger(api.db, "bob")
    [root] = fire(api.db, first)
    above = run_once(api.db, Replied("bob, look"))
    fire(api.db, second, root_id=root, depth=1)
    middle = run_once(api.db, Replied("ada, done"))
    fire(api.db, first, root_id=root, depth=2)
    below = run_once(api.db, Replied("thanks"))
    browser = signed_in(api)
    page = browser.get(f"/invocations/{middle}")
    led_to_it, it_led_to = page.index("Caused by"), page.index("Led to")
    assert led_to_it < page.rindex(f"/invocations/{above}") < it_led_to < page.rindex(f"/invocations/{below}")
    assert "Caused by" not in browser.get(f"/invocations/{above}")


def test_an_invocation_is_cancelled_and_replayed(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    waiting = ready_one(api.db, woken)
    browser = signed_in(api)
    assert browser.post(f"/invocations/{waiting}/cancel").status_code == 303
    assert row_of(api.db, waiting).state == InvocationState.CANCELLED
    again = browser.post(f"/invocations/{waiting}/replay")
    assert again.status_code == 303
    assert again.location != f"/invocations/{waiting}"
    assert browser.post(f"/invocations/{waiting}/cancel").status_code == 409


def test_a_session_tells_what_was_said_and_which_tools_were_called(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    invocation = ready_one(api.db, woken)
    claimed = start(api.db, invocation)
    session = new_id()
    change(
        api.db,
        "INSERT INTO sessions (id, tenant_id, agent_id, channel, title, is_reflection, invocation_id)"
        " SELECT :id, tenant_id, agent_id, 'trigger', 'hook', true, id FROM invocations WHERE id = :invocation",
        id=session,
        invocation=invocation,
    )
    said = (
        "INSERT INTO messages (id, tenant_id, session_id, from_type, from_id, channel, text, tool_key, tool_name,"
        " tool_arguments, tool_state) SELECT :id, tenant_id, :session, 'agent', agent_id, 'trigger', :text, :key,"
        " :name, :arguments, :state FROM sessions WHERE id = :session"
    )
    no_tool = {"key": None, "name": None, "arguments": None, "state": None}
    tool = {"key": "0.0", "name": "search", "arguments": '{"q": "<x>"}', "state": "done"}
    change(api.db, said, id=new_id(), session=session, text="a <result>", **tool)
    change(api.db, said, id=new_id(), session=session, text="All is well.", **no_tool)
    long = new_id()
    change(api.db, said, id=long, session=session, text="x" * 3_000 + "<end>", **no_tool)
    end(api.db, claimed, Replied("All is well."))
    browser = signed_in(api)
    for path in (f"/invocations/{invocation}", f"/sessions/{session}"):
        page = browser.get(path)
        assert (
            page.index("search")
            < page.index("{&#34;q&#34;: &#34;&lt;x&gt;&#34;}")
            < page.index("a &lt;result&gt;")
        )
        assert "All is well." in page
    assert "&lt;end&gt;" not in browser.get(f"/sessions/{session}")
    assert f'href="/messages/{long}"' in browser.get(f"/sessions/{session}")
    assert "&lt;end&gt;" in browser.get(f"/messages/{long}")
    stranger = signed_in(api, api.with_key("read", tenant_id=api.tenant("strangers")).key)
    stranger.get(f"/messages/{long}", 404)
    assert f"/sessions/{session}" in browser.get("/sessions", agent_id=str(woken.agent_id))
    assert f"/sessions/{session}" in browser.get(f"/agents/{woken.agent_id}")


def test_the_audit_trail_is_filtered_by_action_and_by_subject(api: Api) -> None:
    ada, bob = api.agent("ada"), api.agent("bob")
    api.post(f"/agents/{ada['id']}/pause", {"note": "lunch"}, 200)
    browser = signed_in(api)
    every = browser.get("/audit")
    assert "agent.paused" in every
    assert "lunch" in every
    paused = browser.get("/audit", action="agent.paused")
    assert "agent.created" not in paused
    of_bob = browser.get("/audit", subject_id=bob["id"])
    assert "agent.created" in of_bob
    assert "agent.paused" not in of_bob
    browser.get("/audit", 422, action="a b")
    trigger = api.trigger(ada["id"])
    fired = api.post(f"/triggers/{trigger['id']}/fire", status=202)
    assert f'href="/firings/{fired["firing_id"]}"' in browser.get("/audit", subject_id=trigger["id"])
