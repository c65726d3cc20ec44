"""Keys and tenants through the API."""

from __future__ import annotations

from sqlalchemy import select, text

from scheduler.domain.ids import token_hash
from scheduler.storage.keys import create_key
from scheduler.storage.tables.tenants import ApiKey
from tests.support.api import Api, agent_body


def test_a_key_is_shown_once_and_stored_as_its_hash(api: Api) -> None:
    """Only in the creation's response; afterwards it is identified by its beginning."""
    made = api.post("/api-keys", {"name": "ci", "scopes": ["write"]})
    key = made.pop("key")
    assert key.startswith(made["prefix"])
    assert len(key) >= 43
    assert api.get(f"/api-keys/{made['id']}") == made
    assert made in api.get("/api-keys")["items"]
    with api.db.begin() as conn:
        rows = conn.execute(select(ApiKey.__table__)).all()
    assert token_hash(key) in {row.key_hash for row in rows}
    assert key not in str(rows)
    assert key not in str(api.get("/audit"))


def test_a_revoked_key_is_refused_at_once(api: Api) -> None:
    """401, and the list no longer has the key; its creation and revocation stay in the audit."""
    made = api.post("/api-keys", {"name": "ci", "scopes": ["read"]})
    caller = api.as_(made["key"])
    caller.get("/agents")
    api.delete(f"/api-keys/{made['id']}")
    problem = caller.refused(401, "GET", "/agents")
    assert "revoked" in problem["detail"]
    api.refused(404, "GET", f"/api-keys/{made['id']}")
    api.refused(404, "DELETE", f"/api-keys/{made['id']}")
    actions = [event["action"] for event in api.get("/audit", subject_id=made["id"])["items"]]
    assert actions == ["key.revoked", "key.created"]


def test_the_operators_last_admin_key_stays(api: Api) -> None:
    """Nobody could create another; a tenant's last admin key may be revoked, because the operator can."""
    (own,) = api.get("/api-keys")["items"]
    api.refused(409, "DELETE", f"/api-keys/{own['id']}")
    reader = api.post("/api-keys", {"name": "looks", "scopes": ["read"], "tenant_id": None})
    api.refused(409, "DELETE", f"/api-keys/{own['id']}")
    api.delete(f"/api-keys/{reader['id']}")
    second = api.as_(api.post("/api-keys", {"name": "second", "scopes": ["admin"], "tenant_id": None})["key"])
    second.delete(f"/api-keys/{own['id']}")
    api.refused(401, "GET", "/agents")
    tenants_admin = second.post("/api-keys", {"name": "admin", "scopes": ["admin"]})
    api.as_(tenants_admin["key"]).delete(f"/api-keys/{tenants_admin['id']}")


def test_a_tenants_admin_makes_keys_of_its_tenant_only(api: Api) -> None:
    """No operator's key, none for another tenant, and it sees neither."""
    acme, rival = api.tenant("acme"), api.tenant("rival")
    admin = api.with_key("admin", tenant_id=acme)
    made = admin.post("/api-keys", {"name": "ci", "scopes": ["admin"]})
    assert made["tenant_id"] == acme
    assert admin.post("/api-keys", {"name": "ci", "scopes": ["read"], "tenant_id": acme})["tenant_id"] == acme
    admin.refused(403, "POST", "/api-keys", {"name": "x", "scopes": ["read"], "tenant_id": None})
    admin.refused(404, "POST", "/api-keys", {"name": "x", "scopes": ["read"], "tenant_id": rival})
    assert {key["tenant_id"] for key in admin.get("/api-keys")["items"]} == {acme}
    operators = next(key for key in api.get("/api-keys")["items"] if key["tenant_id"] is None)
    admin.refused(404, "DELETE", f"/api-keys/{operators['id']}")


def test_an_operators_key_acts_on_default_or_on_the_named_tenant(api: Api) -> None:
    """The header chooses; keys created then belong to that tenant."""
    acme_id = api.tenant("acme")
    acme = api.as_(api.key, acme_id)
    assert acme.post("/agents", agent_body())["tenant_id"] == acme_id
    assert api.get("/agents")["items"] == []
    assert acme.post("/api-keys", {"name": "ci", "scopes": ["read"]})["tenant_id"] == acme_id
    looks = api.as_(api.post("/api-keys", {"name": "o", "scopes": ["read"], "tenant_id": None})["key"], acme_id)
    assert len(looks.get("/agents")["items"]) == 1
    looks.refused(403, "POST", "/agents", agent_body("b"))
    looks.refused(403, "GET", "/tenants")


def test_any_text_can_be_the_operators_own_key(api: Api) -> None:
    """No part of it is shown."""
    with api.db.begin() as conn:
        made = create_key(conn, tenant_id=None, name="own", scopes=["admin"], key="tiny")
    assert made.row.prefix == ""
    api.as_("tiny").get("/tenants")


def test_the_authorization_header_is_read_as_the_standard_has_it(api: Api) -> None:
    """The scheme in any case, only Bearer, and no crash on invalid bytes."""
    for header, status in (
        (f"bearer {api.key}", 200),
        (f"Bearer   {api.key} ", 200),
        (f"Basic {api.key}", 401),
        (f"{api.key}", 401),
        ("Bearer", 401),
        ("Bearer \xff\xfe", 401),
        ("Bearer " + "x" * 10_000, 401),
    ):
        assert api.as_(None).call("GET", "/agents", headers={"Authorization": header}).status_code == status


def test_tenants_are_created_changed_listed_and_deleted(api: Api) -> None:
    """They are for the operator alone."""
    response = api.call("POST", "/tenants", {"name": "acme", "timezone": "Asia/Tokyo"})
    acme = api.ok(response, 201)
    path = f"/tenants/{acme['id']}"
    assert response.headers["Location"] == f"/api/v1{path}"
    assert (acme["timezone"], acme["default_max_triggers"], acme["max_webhook_rate"]) == ("Asia/Tokyo", 20, 5)
    assert api.refused(409, "POST", "/tenants", {"name": "acme"})["field"] == "name"
    assert api.refused(409, "PATCH", path, {"name": "default"})["field"] == "name"
    assert api.refused(422, "POST", "/tenants", {"name": "x", "timezone": "Tokyo/Asia"})["field"] == "timezone"
    assert api.refused(422, "PATCH", path, {"min_poll_interval_min": 4})["field"] == "min_poll_interval_min"
    changed = api.patch(path, {"max_webhook_rate": 100})
    assert changed == acme | {"max_webhook_rate": 100}
    assert api.patch(path, {}) == changed
    assert [tenant["name"] for tenant in api.get("/tenants")["items"]] == ["acme", "default"]


def test_a_tenants_timezone_moves_its_triggers(api: Api) -> None:
    """Those without a zone of their own or of their agent."""
    tenant_id = api.tenant("acme")
    acme = api.as_(api.key, tenant_id)
    agent_id = acme.post("/agents", agent_body())["id"]
    cron = {"name": "x", "type": "cron", "config": {"expr": "0 9 * * *"}}
    trigger = acme.post(f"/agents/{agent_id}/triggers", cron)
    api.patch(f"/tenants/{tenant_id}", {"timezone": "Asia/Tokyo"})
    moved = acme.get(f"/triggers/{trigger['id']}")
    assert (trigger["timezone"], moved["timezone"]) == ("UTC", "Asia/Tokyo")
    assert moved["next_fire_at"] != trigger["next_fire_at"]


def test_a_tenant_is_deleted_without_its_history(api: Api) -> None:
    """Not while it has agents, and never the default one; its keys are deleted too."""
    tenant_id = api.tenant("acme")
    path = f"/tenants/{tenant_id}"
    acme = api.with_key("admin", tenant_id=tenant_id)
    agent_id = acme.post("/agents", agent_body())["id"]
    trigger = acme.post(f"/agents/{agent_id}/triggers", {"name": "x", "type": "interval"})
    acme.post(f"/triggers/{trigger['id']}/fire", None, 202)
    api.refused(409, "DELETE", path)
    acme.delete(f"/agents/{agent_id}")
    api.delete(path)
    api.refused(404, "GET", path)
    acme.refused(401, "GET", "/agents")
    api.as_(api.key, tenant_id).refused(404, "GET", "/firings")
    with api.db.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM firings")) == 1
    (default,) = api.get("/tenants")["items"]
    api.refused(409, "DELETE", f"/tenants/{default['id']}")
    assert api.refused(409, "PATCH", f"/tenants/{default['id']}", {"name": "main"})["field"] == "name"
    assert [event["action"] for event in api.get("/audit", subject_id=tenant_id)["items"]] == [
        "tenant.deleted",
        "tenant.created",
    ]
