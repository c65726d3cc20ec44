"""Channels as definitions: their secrets are given by reference, and stay when they are left out."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.support.api import Api, Caller
from tests.support.definitions import apply, definitions, flat, id_of, said

CHAT = {"agent": "ada", "name": "chat", "kind": "slack", "secrets": {"signing_secret": "hush-slack"}}


@pytest.fixture
def tenant(shared: Api) -> Caller:
    return shared.as_(shared.key, shared.tenant(f"t-{uuid4().hex[:8]}"))


def with_chat(**changes: Any) -> dict[str, Any]:
    return definitions(channels=[CHAT | changes])


def chat(tenant: Caller) -> Any:
    return tenant.get(f"/channels/{id_of(tenant, 'channels', 'chat')}")


def test_a_channel_is_created_kept_and_pruned(tenant: Caller) -> None:
    assert "create channel chat" in said(apply(tenant, with_chat()))
    made = chat(tenant)
    assert (made["kind"], made["is_enabled"], made["bot_user_id"]) == ("slack", True, None)
    assert made["agent_id"] == id_of(tenant, "agents", "ada")
    assert said(apply(tenant, with_chat())) == []
    assert said(apply(tenant, with_chat(secrets={}))) == []
    assert said(apply(tenant, definitions(), prune=True)) == ["delete channel chat"]
    assert tenant.get("/channels")["items"] == []


def test_fields_change_and_what_is_left_out_stays(tenant: Caller) -> None:
    apply(tenant, with_chat())
    tenant.patch(f"/channels/{chat(tenant)['id']}", {"is_enabled": False})
    (change,) = apply(tenant, with_chat(bot_user_id="U1"))["changes"]
    assert [(each["path"], each["before"], each["after"]) for each in change["fields"]] == [
        ("bot_user_id", None, "U1")
    ]
    assert chat(tenant)["is_enabled"] is False
    assert said(apply(tenant, with_chat(bot_user_id="U1", is_enabled=True))) == ["update channel chat"]
    (change,) = apply(tenant, with_chat(bot_user_id="U1", secrets={"signing_secret": "hush-2"}))["changes"]
    (field,) = change["fields"]
    assert (field["path"], field["is_secret"], field["after"]) == ("secrets.signing_secret", True, None)


def test_a_new_name_renames_it(tenant: Caller) -> None:
    apply(tenant, with_chat())
    before = chat(tenant)["id"]
    assert said(apply(tenant, with_chat(name="talk", renamed_from="chat"))) == ["update channel talk"]
    assert id_of(tenant, "channels", "talk") == before


def test_an_export_refers_to_its_secrets_and_applies_without_a_change(tenant: Caller) -> None:
    apply(tenant, with_chat())
    exported = tenant.get("/definitions")
    assert exported["left_out"] == []
    (ada,) = (each for each in exported["agents"] if each["name"] == "ada")
    secret = {"signing_secret": {"env": "ADA_CHAT_SIGNING_SECRET"}}
    assert ada["channels"] == [{"name": "chat", "kind": "slack", "secrets": secret}]
    assert said(apply(tenant, flat(exported))) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "pigeon"}, "channels.0"),
        ({"secrets": {}}, "channels.0.secrets"),
        ({"secrets": {"signing_secret": {"$kept": "it is not set"}}}, "channels.0.secrets.signing_secret"),
        ({"agent": "nobody"}, "channels.0.agent"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tenant: Caller, changes: dict[str, Any], field: str) -> None:
    refused = tenant.refused(422, "POST", "/definitions", with_chat(**changes))
    assert refused["errors"][0]["field"].startswith(field)
