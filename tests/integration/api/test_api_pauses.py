"""A tenant, or everything, is paused and resumed with the API, the pages and the command."""

from __future__ import annotations

from tests.support.api import Api
from tests.support.pages import signed_in


def test_a_tenant_and_everything_are_paused_and_resumed(api: Api) -> None:
    nothing = {"is_paused": False, "paused_note": None, "paused_by": None, "paused_at": None}
    assert api.get("/pause") == {"tenant": nothing, "service": nothing}
    paused = api.post("/pause", {"note": "the model is down"}, 200)
    assert paused["service"] == nothing
    assert (paused["tenant"]["is_paused"], paused["tenant"]["paused_note"]) == (True, "the model is down")
    assert api.post("/pause", {"everything": True}, 200)["service"]["is_paused"]
    assert not api.post("/resume", None, 200)["tenant"]["is_paused"]
    assert api.post("/resume", {"everything": True}, 200) == {"tenant": nothing, "service": nothing}
    [tenant] = api.get("/tenants")["items"]
    assert api.post(f"/tenants/{tenant['id']}/pause", {"note": "n"}, 200)["paused_note"] == "n"
    assert api.get(f"/tenants/{tenant['id']}")["is_paused"]
    assert api.post(f"/tenants/{tenant['id']}/resume", None, 200) == nothing


def test_who_may_pause_what(api: Api) -> None:
    tenant = api.post("/tenants", {"name": "elsewhere"})["id"]
    admin, writer = api.with_key("admin", tenant_id=tenant), api.with_key("write", tenant_id=tenant)
    writer.refused(403, "POST", "/pause", {})
    admin.refused(403, "POST", "/pause", {"everything": True})
    admin.refused(403, "POST", f"/tenants/{tenant}/pause", {})
    admin.refused(422, "POST", "/pause", {"note": 7})
    admin.refused(422, "POST", "/pause", {"everyone": True})
    api.refused(404, "POST", "/tenants/01a22600-0000-7000-8000-000000000000/pause", {})
    assert admin.post("/pause", {}, 200)["tenant"]["is_paused"]
    assert not api.get("/pause")["tenant"]["is_paused"]


def test_every_page_says_that_it_is_paused_and_where_to_resume(api: Api) -> None:
    browser = signed_in(api)
    assert 'href="/settings/pause"' in browser.get("/settings")
    assert "Pause everything?" in browser.get("/settings/pause?everything=1")
    assert browser.post("/settings/pause", everything="1", note="maintenance").location == "/settings"
    for path in ("/", "/agents", "/audit", "/settings"):
        page = browser.get(path)
        assert "Everything is paused since" in page
        assert "maintenance" in page
        assert 'href="/settings/resume?everything=1"' in page
    assert "Resume everything?" in browser.get("/settings/resume?everything=1")
    browser.post("/settings/resume", everything="1")
    assert "Everything is paused" not in browser.get("/agents")
