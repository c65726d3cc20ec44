"""Channels through the API: created, shown without their secrets, changed, deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.api import Api

SLACK = {"signing_secret": "hush"}


def channel_body(agent_id: str, name: str = "support", **fields: object) -> dict[str, object]:
    """Returns the body that creates a channel."""
    return {"name": name, "kind": "slack", "agent_id": agent_id, "secrets": SLACK, **fields}


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent()["id"])


@pytest.fixture
def channel(api: Api, agent_id: str) -> Any:
    return api.post("/channels", channel_body(agent_id))


def test_a_channel_is_shown_with_its_address_and_without_its_secrets(api: Api, agent_id: str) -> None:
    """The address is built from the request's host, or from the public URL."""
    response = api.call("POST", "/channels", channel_body(agent_id, bot_user_id="UBOT"))
    made = api.ok(response, 201)
    assert response.headers["Location"] == f"/api/v1/channels/{made['id']}"
    assert made["events_url"] == f"http://localhost/channels/{made['id']}/events"
    assert (made["kind"], made["agent_id"], made["bot_user_id"]) == ("slack", agent_id, "UBOT")
    assert made["is_enabled"] is True and made["note"] is None
    assert api.get(f"/channels/{made['id']}") == made
    assert api.get("/channels")["items"] == [made]
    assert "hush" not in response.text and "secrets" not in made


@pytest.mark.usefixtures("channel")
def test_secrets_are_stored_encrypted(api: Api) -> None:
    with api.db.begin() as conn:
        stored = conn.scalar(text("SELECT secrets FROM channels"))
    assert b"hush" not in bytes(stored)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"kind": 5}, "kind"),
        ({"kind": None}, "kind"),
        ({"secrets": {}}, "secrets.signing_secret"),
        ({"secrets": {"signing_secret": None}}, "secrets.signing_secret"),
        ({"secrets": {"signing_secret": ""}}, "secrets.signing_secret"),
        ({"secrets": {"signing_secret": 5}}, "secrets.signing_secret"),
        ({"secrets": {"signing_secret": "a", "more": "b"}}, "secrets.more"),
        ({"secrets": "hush"}, "secrets"),
        ({"secrets": None}, "secrets"),
        ({"kind": "discord", "secrets": {"public_key": "ab"}}, "secrets.public_key"),
        ({"kind": "feishu", "secrets": {"encrypt_key": "k"}}, "secrets.verification_token"),
        ({"agent_id": "no-id"}, "agent_id"),
        ({"agent_id": None}, "agent_id"),
        ({"agent_id": "00000000-0000-7000-8000-0000000000ff"}, "agent_id"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"bot_user_id": ""}, "bot_user_id"),
        ({"bot_user_id": "a b"}, "bot_user_id"),
        ({"is_enabled": 1}, "is_enabled"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_is_refused_by_name(
    api: Api, agent_id: str, channel: Any, fields: dict[str, Any], field: str
) -> None:
    """At creation and at a change; no secret is repeated."""
    body = channel_body(agent_id, "other") | fields
    assert api.refused(422, "POST", "/channels", body)["field"] == field
    if "kind" in fields:
        fields = {"kind": fields["kind"]}
    if fields != {"secrets": {}}:
        problem = api.refused(422, "PATCH", f"/channels/{channel['id']}", fields)
        assert problem["field"].partition(".")[0] in fields
    assert api.get("/channels")["items"] == [channel]


@pytest.mark.usefixtures("channel")
def test_a_name_is_taken_once_in_a_tenant(api: Api, agent_id: str) -> None:
    problem = api.refused(409, "POST", "/channels", channel_body(agent_id))
    assert problem["field"] == "name"
    other = api.post("/channels", channel_body(agent_id, "other"))
    api.refused(409, "PATCH", f"/channels/{other['id']}", {"name": "support"})
    tenant = api.as_(api.key, api.tenant("acme"))
    agent = tenant.post("/agents", {"name": "bob", "runtime": {"kind": "command", "name": "echo"}})
    tenant.post("/channels", channel_body(agent["id"]))


def test_an_agent_of_another_tenant_is_not_there(api: Api, channel: Any) -> None:
    tenant = api.as_(api.key, api.tenant("acme"))
    stranger = tenant.post("/agents", {"name": "bob", "runtime": {"kind": "command", "name": "echo"}})["id"]
    assert api.refused(422, "POST", "/channels", channel_body(stranger, "other"))["field"] == "agent_id"
    assert api.refused(422, "PATCH", f"/channels/{channel['id']}", {"agent_id": stranger})["field"] == "agent_id"


def test_a_change_leaves_what_it_does_not_name(api: Api, channel: Any) -> None:
    """An empty change changes nothing; a kind may be repeated."""
    path = f"/channels/{channel['id']}"
    assert api.patch(path, {}) == channel
    other = api.agent("eve")["id"]
    changed = api.patch(path, {"name": "new", "kind": "slack", "agent_id": other, "is_enabled": False})
    assert changed | {"updated_at": 0} == channel | {
        "name": "new",
        "agent_id": other,
        "is_enabled": False,
        "updated_at": 0,
    }
    assert api.patch(path, {"bot_user_id": "UBOT"})["bot_user_id"] == "UBOT"
    assert api.patch(path, {"bot_user_id": None})["bot_user_id"] is None


def test_secrets_are_merged(api: Api, agent_id: str) -> None:
    """Null removes one, unless it is required."""
    secrets = {"verification_token": "t", "encrypt_key": "k"}
    made = api.post("/channels", channel_body(agent_id, kind="feishu", secrets=secrets))
    path = f"/channels/{made['id']}"
    api.patch(path, {"secrets": {"encrypt_key": None}})
    assert _held(api) == {"verification_token": "t"}
    api.patch(path, {"secrets": {"encrypt_key": "k2"}})
    assert _held(api) == {"verification_token": "t", "encrypt_key": "k2"}
    api.refused(422, "PATCH", path, {"secrets": {"verification_token": None}})
    assert _held(api) == {"verification_token": "t", "encrypt_key": "k2"}


def test_a_deleted_channel_is_gone(api: Api, channel: Any) -> None:
    api.delete(f"/channels/{channel['id']}")
    for method in ("GET", "PATCH", "DELETE"):
        api.refused(404, method, f"/channels/{channel['id']}", {} if method == "PATCH" else None)
    assert api.get("/channels")["items"] == []


def test_every_change_is_audited_without_secrets(api: Api, channel: Any) -> None:
    api.patch(f"/channels/{channel['id']}", {"secrets": {"signing_secret": "whisper"}, "is_enabled": False})
    api.delete(f"/channels/{channel['id']}")
    trail = api.get("/audit", subject_id=channel["id"])["items"]
    assert [each["action"] for each in reversed(trail)] == [
        "channel.created",
        "channel.updated",
        "channel.deleted",
    ]
    assert trail[1]["detail"] == {"fields": ["is_enabled", "secrets"]}
    assert "hush" not in str(trail) and "whisper" not in str(trail)


def test_a_tenant_goes_with_its_channels(api: Api) -> None:
    tenant_id = api.tenant("acme")
    tenant = api.as_(api.key, tenant_id)
    agent = tenant.post("/agents", {"name": "bob", "runtime": {"kind": "command", "name": "echo"}})
    tenant.post("/channels", channel_body(agent["id"]))
    tenant.delete(f"/agents/{agent['id']}")
    api.delete(f"/tenants/{tenant_id}")
    with api.db.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM channels")) == 0


def _held(api: Api) -> Any:
    with api.db.begin() as conn:
        stored = conn.scalar(text("SELECT secrets FROM channels"))
    return json.loads(api.services.box.decrypt(bytes(stored)))
