"""The pages of agents, invocations, deliveries, the dead, approvals, the audit trail and the settings."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from markupsafe import escape

from scheduler.domain.ids import new_id
from scheduler.domain.model import InvocationState, Trust
from scheduler.domain.run import Failed, Replied
from tests.api import Api, agent_body
from tests.database import change, rows
from tests.hooks import make_hook
from tests.invocations import bring_to, close, end, fire, make_woken, ready_one, row_of, run_once, start
from tests.pages import signed_in

SCRIPT = b"<script>alert('woken')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;woken&#39;)&lt;/script&gt;"
KIB = 1024


def test_the_agents_are_listed_with_how_each_stands(api: Api) -> None:
    woken = make_woken(api.db, "ada")
    invocation = bring_to(api.db, woken, InvocationState.DEAD)
    api.agent("bob")
    browser = signed_in(api)
    listed = browser.get("/agents")
    assert "1 of 1" in listed
    assert f"/invocations/{invocation}" in listed
    assert "never woken" in listed
    found = browser.get("/agents", q="BO")
    assert ">bob<" in found
    assert ">ada<" not in found


def test_an_agent_is_paused_with_a_note_resumed_and_woken(api: Api) -> None:
    agent = api.agent("ada")
    browser = signed_in(api)
    path = f"/agents/{agent['id']}"
    assert browser.post(f"{path}/pause", note="moving <house>").status_code == 303
    assert "moving &lt;house&gt;" in browser.get(path)
    assert api.get(path)["paused_note"] == "moving <house>"
    assert browser.post(f"{path}/resume").status_code == 303
    assert api.get(path)["is_paused"] is False
    woken = browser.post(f"{path}/wake", message="look at the disk")
    assert woken.status_code == 303
    assert "look at the disk" in browser.get(woken.location)
    assert browser.post(f"{path}/wake", message="").status_code == 422


def test_an_agents_triggers_are_grouped_by_what_they_belong_to(api: Api) -> None:
    agent = api.agent("ada")
    for name, focus in (("alone", None), ("a1", "order 7"), ("a2", "order 7")):
        api.trigger(agent["id"], name, focus_ref=focus)
    page = signed_in(api).get(f"/agents/{agent['id']}")
    assert page.count("<h3>order 7</h3>") == 1
    assert page.index("order 7</h3>") < page.index(">a1<") < page.index(">a2<") < page.index(">alone<")
    assert "Tokens today" in page


def test_invocations_are_listed_by_agent_and_by_state_a_page_at_a_time(api: Api) -> None:
    woken = make_woken(api.db, "ada")
    other = make_woken(api.db, "bob")
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
    browser.get("/invocations", 404, state="asleep")


def test_an_invocation_shows_what_woke_the_agent_what_it_saw_and_each_try(api: Api) -> None:
    woken = make_woken(api.db, "ada")
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
    woken = make_woken(api.db, "ada")
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
    woken = make_woken(api.db, "ada")
    [firing] = fire(api.db, woken, payload=b"\xff\x00\xfe")
    assert "It is not text" in signed_in(api).get(f"/firings/{firing}")


def test_the_firings_of_an_invocation_are_shown_some_at_a_time(api: Api) -> None:
    woken = make_woken(api.db, "ada")
    ids = fire(api.db, woken, 25)
    invocation = run_once(api.db, Replied("done"))
    browser = signed_in(api)
    assert f"/firings/{ids[19]}" in browser.get(f"/invocations/{invocation}")
    following = browser.get(f"/invocations/{invocation}", after=str(ids[19]))
    assert f"/firings/{ids[24]}" in following
    assert f"/firings/{ids[19]}" not in following


def test_the_chain_of_wakes_is_shown_upwards_and_downwards(api: Api) -> None:
    first, second = make_woken(api.db, "ada"), make_woken(api.db, "bob")
    [root] = fire(api.db, first)
    above = run_once(api.db, Replied("bob, look"))
    fire(api.db, second, root_id=root, depth=1)
    middle = run_once(api.db, Replied("ada, done"))
    fire(api.db, first, root_id=root, depth=2)
    below = run_once(api.db, Replied("thanks"))
    browser = signed_in(api)
    page = browser.get(f"/invocations/{middle}")
    led_to_it, it_led_to = page.index("What led to it"), page.index("What it led to")
    assert led_to_it < page.rindex(f"/invocations/{above}") < it_led_to < page.rindex(f"/invocations/{below}")
    assert "What led to it" not in browser.get(f"/invocations/{above}")


def test_an_invocation_is_cancelled_and_replayed(api: Api) -> None:
    woken = make_woken(api.db, "ada")
    waiting = ready_one(api.db, woken)
    browser = signed_in(api)
    assert browser.post(f"/invocations/{waiting}/cancel").status_code == 303
    assert row_of(api.db, waiting).state == InvocationState.CANCELLED
    again = browser.post(f"/invocations/{waiting}/replay")
    assert again.status_code == 303
    assert again.location != f"/invocations/{waiting}"
    assert browser.post(f"/invocations/{waiting}/cancel").status_code == 409


def test_a_session_tells_what_was_said_and_which_tools_were_called(api: Api) -> None:
    woken = make_woken(api.db, "ada")
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
    assert f"/sessions/{session}" in browser.get("/sessions", agent_id=str(woken.agent_id))
    assert f"/sessions/{session}" in browser.get(f"/agents/{woken.agent_id}")


def test_deliveries_are_listed_with_what_the_check_said_and_replayed(api: Api) -> None:
    signed = make_hook(api, {"signature": {"scheme": "github", "secret": "s3cret"}})
    signed.refused(401, b"{}", x_hub_signature_256="sha256=00")
    plain = make_hook(api)
    firing = plain.accepted(b'{"n": 1}')
    browser = signed_in(api)
    every = browser.get("/deliveries")
    assert "bad signature" in every
    assert f"/firings/{firing}" in every
    refused = browser.get("/deliveries", show="refused")
    assert "bad signature" in refused
    assert f"/firings/{firing}" not in refused
    delivery = plain.deliveries()[0]["id"]
    again = browser.post(f"/triggers/{plain.id}/deliveries/{delivery}/replay")
    assert again.status_code == 303
    assert len(plain.firings()) == 2
    assert browser.post(f"/triggers/{signed.id}/deliveries/{delivery}/replay").status_code == 404


def test_a_range_of_deliveries_is_replayed_in_steps(api: Api) -> None:
    hook = make_hook(api, rate=100)
    for number in range(25):
        hook.accepted(f"{number}".encode())
    browser = signed_in(api)
    span = {"since": "2020-01-01", "until": "2090-01-01"}
    path, script = f"/triggers/{hook.id}/deliveries/replay", {"Reveille-Fragment": "json"}
    form = {"csrf": browser.token(), **span}
    first = browser.client.post(path, data=form, headers=script).get_json()
    assert (first["done"], first["failed"]) == (20, 0)
    last = browser.client.post(path, data={**form, "cursor": first["next"]}, headers=script).get_json()
    assert (last["done"], last["next"]) == (5, None)
    assert [row.payload for row in hook.firings()[25:]] == [f"{number}".encode() for number in range(25)]
    assert browser.post(path, since="yesterday", until="2090-01-01").status_code == 422


def test_the_dead_are_listed_and_replayed_in_bulk(api: Api) -> None:
    dead = [bring_to(api.db, make_woken(api.db, f"a{number}"), InvocationState.DEAD) for number in range(3)]
    bring_to(api.db, make_woken(api.db, "well"), InvocationState.SUCCEEDED)
    browser = signed_in(api)
    page = browser.get("/dead")
    assert page.count('name="id"') == 3
    assert "Replay all 3<" in page
    assert "never" in page
    assert browser.post("/dead/replay", id=[str(dead[0])]).location == "/dead"
    assert row_of(api.db, dead[0]).replayed_into is not None
    assert browser.get("/dead").count('name="id"') == 2
    answer = browser.client.post(
        "/dead/replay", data={"csrf": browser.token(), "all": "1"}, headers={"Reveille-Fragment": "json"}
    )
    assert answer.get_json() == {"done": 2, "failed": 0, "message": "", "next": None}
    assert "Nothing is dead" in browser.get("/dead")


def test_one_that_cannot_be_replayed_holds_up_no_other(api: Api) -> None:
    gone, there = make_woken(api.db, "gone"), make_woken(api.db, "there")
    dead = [bring_to(api.db, woken, InvocationState.DEAD) for woken in (gone, there)]
    api.delete(f"/agents/{gone.agent_id}")
    browser = signed_in(api)
    answer = browser.client.post(
        "/dead/replay", data={"csrf": browser.token(), "all": "1"}, headers={"Reveille-Fragment": "json"}
    ).get_json()
    assert (answer["done"], answer["failed"]) == (1, 1)
    assert "deleted" in answer["message"]
    assert row_of(api.db, dead[1]).replayed_into is not None


def test_a_trigger_of_an_agents_is_approved_or_rejected(api: Api) -> None:
    agent = api.agent("ada")
    ids = [api.trigger(agent["id"], name)["id"] for name in ("one", "two")]
    change(api.db, "UPDATE triggers SET approval = 'awaiting', is_enabled = false")
    browser = signed_in(api)
    page = browser.get("/approvals")
    assert ">one<" in page
    assert ">two<" in page
    browser.post(f"/triggers/{ids[0]}/approve")
    browser.post(f"/triggers/{ids[1]}/reject", note="too often")
    assert "Nothing awaits approval" in browser.get("/approvals")
    assert api.get(f"/triggers/{ids[0]}")["is_enabled"] is True
    assert api.get(f"/triggers/{ids[1]}")["paused_note"] == "rejected: too often"


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
    browser.get("/audit", 404, action="a b")


def test_a_key_is_made_shown_once_and_revoked(api: Api) -> None:
    browser = signed_in(api)
    made = browser.post("/settings/keys", name="laptop", scope="read")
    assert made.status_code == 201
    key = re.search(r"rvl_[\w-]+", made.text)
    assert key
    assert key[0] not in browser.get("/settings")
    assert api.as_(key[0]).get("/agents")["items"] == []
    [row] = rows(api.db, "SELECT id FROM api_keys WHERE name = 'laptop'")
    browser.post(f"/settings/keys/{row.id}/revoke")
    api.as_(key[0]).refused(401, "GET", "/agents")
    wrong = browser.post("/settings/keys", name="", scope="read")
    assert wrong.status_code == 422
    assert 'aria-invalid="true"' in wrong.text
    nobodys = browser.post("/settings/keys", name="x", scope="read", agent_id=str(new_id()))
    assert nobodys.status_code == 422


def test_an_operator_changes_the_limits_and_is_told_what_is_wrong(api: Api) -> None:
    browser = signed_in(api)
    good = {"timezone": "Europe/Berlin", "default_max_triggers": "7"}
    assert browser.post("/settings/limits", **good).status_code == 303
    [tenant] = rows(api.db, "SELECT timezone, default_max_triggers FROM tenants")
    assert tuple(tenant) == ("Europe/Berlin", 7)
    assert browser.post("/settings/limits", max_tokens_per_day="5000").status_code == 303
    assert rows(api.db, "SELECT max_tokens_per_day FROM tenants")[0][0] == 5000
    assert browser.post("/settings/limits", max_tokens_per_day="").status_code == 303
    assert rows(api.db, "SELECT max_tokens_per_day FROM tenants")[0][0] is None
    wrong = browser.post("/settings/limits", timezone="Mars/Base", default_max_triggers="7")
    assert wrong.status_code == 422
    assert "e-timezone" in wrong.text


def test_a_model_is_made_disabled_and_deleted_and_its_key_is_shown_to_nobody(api: Api) -> None:
    browser = signed_in(api)
    form = {"name": "small", "provider": "openai", "model": "gpt-x", "key": "sk-very-secret", "input_price": "0.5"}
    assert browser.post("/settings/models", **form).status_code == 303
    page = browser.get("/settings/models")
    assert "gpt-x" in page
    assert "0.5" in page
    assert "sk-very-secret" not in page
    wrong = browser.post("/settings/models", **{**form, "name": "other", "provider": "openai-compatible"})
    assert wrong.status_code == 422
    assert "e-base_url" in wrong.text
    assert "sk-very-secret" not in wrong.text
    [model] = api.get("/models")["items"]
    browser.post(f"/settings/models/{model['id']}/enable", on="0")
    assert api.get(f"/models/{model['id']}")["is_enabled"] is False
    stranger = signed_in(api, api.with_key("write", tenant_id=api.tenant("strangers")).key)
    assert "gpt-x" not in stranger.get("/settings/models")
    assert stranger.post(f"/settings/models/{model['id']}/delete").status_code == 404
    browser.post(f"/settings/models/{model['id']}/delete")
    assert api.get("/models")["items"] == []


def test_without_a_script_each_press_of_the_button_goes_on_where_the_one_before_ended(api: Api) -> None:
    hook = make_hook(api, rate=100)
    for _ in range(21):
        hook.accepted()
    browser = signed_in(api)
    span = {"since": "2020-01-01", "until": "2090-01-01"}
    path = f"/triggers/{hook.id}/deliveries/replay"
    location = browser.post(path, **span).location
    hidden = re.search(r'name="cursor" value="([^"]+)"', browser.get(location))
    assert hidden
    assert browser.post(path, **span, cursor=hidden[1]).location == f"/deliveries?trigger_id={hook.id}"
    assert len(hook.firings()) == 42


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
)


def test_who_only_reads_sees_the_lists_but_changes_nothing(api: Api) -> None:
    woken = make_woken(api.db, "ada")
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
    woken = make_woken(api.db, "ada")
    invocation = bring_to(api.db, woken, InvocationState.DEAD)
    browser = signed_in(api)
    for path in (*READS, f"/agents/{woken.agent_id}", f"/invocations/{invocation}"):
        page = browser.get(path)
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page), path
