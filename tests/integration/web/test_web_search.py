"""Questions that pages answer: where is it, what failed alike, what did a refused delivery carry."""

from __future__ import annotations

from scheduler.domain.run import Failed
from tests.support.api import Api
from tests.support.hooks import make_hook
from tests.support.invocations import fire, make_agent_with_trigger, run_once
from tests.support.pages import signed_in


def test_names_reasons_errors_and_ids_are_found_of_the_own_tenant_only(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "night-watch")
    api.trigger(str(woken.agent_id), "round", reason="100%_sure to look <around>")
    [firing] = fire(api.db, woken)
    dead = run_once(api.db, Failed("the disk is full", permanent=True))

    def kinds(words: str) -> list[str]:
        return [each["kind"] for each in api.get("/search", q=words)["items"]]

    assert kinds("NIGHT") == ["agent"]
    assert kinds("look <around>") == kinds("100%_sure") == kinds("%") == ["trigger"]
    assert kinds("100_") == kinds("nothing like it") == []
    assert kinds("disk is") == ["invocation"]
    for id_, kind in ((woken.agent_id, "agent"), (firing, "firing"), (dead, "invocation")):
        for words in (str(id_), str(id_).upper(), str(id_)[-8:], id_.hex[:20]):
            assert kind in kinds(words), words
    api.refused(422, "GET", "/search", query_string={"q": ""})
    other = api.as_(api.key, api.tenant("other"))
    for words in ("night", "round", "disk", str(dead), str(dead)[-8:]):
        assert other.get("/search", q=words)["items"] == [], words

    browser = signed_in(api)
    page = browser.get("/search", q="round")
    assert "100%_sure to look &lt;around&gt;" in page
    assert 'href="/triggers/' in page
    assert f'href="/invocations/{dead}"' in browser.get("/search", q=str(dead)[-8:])
    assert "Nothing found" in browser.get("/search", q="<script>")
    assert 'action="/search"' in browser.get("/")


def test_failures_are_grouped_by_kind_of_error_and_each_kind_lists_its_own(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    for error in ("Timed out after 12 s", "Timed out after 600 s", "The agent answered 503."):
        fire(api.db, woken)
        run_once(api.db, Failed(error, permanent=True))
    browser = signed_in(api)
    page = browser.get("/dead")
    groups = page[page.index("By kind of error") : page.index('action="/dead/replay"')]
    assert groups.count("<tr>") == 3
    assert 'href="/dead?error=Timed+out+after"' in groups
    found = browser.get("/dead", error="Timed out after")
    assert found.count('name="id"') == 2


def test_a_refused_delivery_shows_what_it_carried_bounded_and_as_text(api: Api) -> None:
    hook = make_hook(api, {"signature": {"scheme": "github", "secret": "a secret of the sender"}})
    hook.refused(401, b'{"who": "<script>"}' + b" " * 5000, content_type="application/json")
    [row] = hook.deliveries()
    whole = api.get(f"/triggers/{hook.id}/deliveries/{row['id']}")
    assert (whole["verdict"], whole["size"], len(whole["body"])) == ("bad_signature", 5019, 2000)
    browser = signed_in(api)
    assert f"/deliveries/{row['id']}" in browser.get("/deliveries")
    page = browser.get(f"/deliveries/{row['id']}")
    assert "{&#34;who&#34;: &#34;&lt;script&gt;&#34;}" in page
    assert "Its beginning" in page
    other = api.as_(api.key, api.tenant("other"))
    other.refused(404, "GET", f"/triggers/{hook.id}/deliveries/{row['id']}")
    api.refused(404, "POST", f"/triggers/{hook.id}/deliveries/{row['id']}/replay")
