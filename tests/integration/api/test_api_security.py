"""The service and strangers: unknown hosts, other sites' forms, headers, expired keys and traces of keys."""

from __future__ import annotations

import re

import pytest

from scheduler.storage.secrets import SecretBox
from tests.support.api import Api, running_api
from tests.support.database import change, rows
from tests.support.pages import signed_in

ALLOWED = {"allowed_hosts": "reveille.example.org,*.dev.example.org,[fd00::1]"}


@pytest.mark.parametrize(
    "host", ["evil.example.org", "127.0.0.1.evil.example.org", "localhost.evil", "10.0.0.1:8080"]
)
def test_without_a_public_url_a_strange_host_writes_no_address(api: Api, host: str) -> None:
    agent = api.agent("ada")["id"]
    answer = api.call(
        "POST", f"/agents/{agent}/triggers", {"name": "t", "type": "webhook"}, headers={"Host": host}
    )
    assert answer.status_code == 400
    assert "REVEILLE_ALLOWED_HOSTS" in answer.get_json()["detail"]
    assert api.get("/triggers")["items"] == []
    assert api.app.test_client().get("/sign-in", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "host",
    ["", "ada@localhost", "localhost@evil", "localhost/evil", "localhost evil", "localhost, evil", "localhost:x"],
)
def test_an_invalid_host_writes_no_address(api: Api, host: str) -> None:
    """So does a repeated header; the server joins both with a comma."""
    agent = api.agent("ada")["id"]
    answer = api.call(
        "POST", f"/agents/{agent}/triggers", {"name": "t", "type": "webhook"}, headers={"Host": host}
    )
    assert answer.status_code == 400
    assert api.get("/triggers")["items"] == []


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:80", "LOCALHOST."])
def test_loopback_is_known(api: Api, host: str) -> None:
    assert api.call("GET", "/agents", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_come_by_any_name(api: Api, path: str) -> None:
    assert api.app.test_client().get(path, headers={"Host": "10.1.2.3:8080"}).status_code != 400


def test_the_hosts_that_are_allowed_are_known(database_url: str) -> None:
    with running_api(database_url, **ALLOWED) as api:
        for host in ("reveille.example.org", "a.b.dev.example.org:8443", "[fd00::1]:8080"):
            assert api.call("GET", "/agents", headers={"Host": host}).status_code == 200, host
        for host in ("example.org", "evildev.example.org", "reveille.example.org.evil"):
            assert api.call("GET", "/agents", headers={"Host": host}).status_code == 400, host


def test_with_a_public_url_the_name_is_used_for_nothing(database_url: str) -> None:
    with running_api(database_url, public_url="https://r.example.org") as api:
        agent = api.agent("ada")["id"]
        body = {"name": "t", "type": "webhook"}
        made = api.call("POST", f"/agents/{agent}/triggers", body, headers={"Host": "upstream:8080"})
        assert made.get_json()["hook_url"].startswith("https://r.example.org/hooks/")
        assert "max-age=31536000" in made.headers["Strict-Transport-Security"]


def test_every_response_has_its_isolation_headers(api: Api) -> None:
    for path in ("/healthz", "/api/v1/agents", "/sign-in", "/nowhere", "/docs", "/openapi.json"):
        headers = api.app.test_client().get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "camera=()" in headers["Permissions-Policy"], path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin", path
        assert "Strict-Transport-Security" not in headers, path


def test_the_documentation_needs_nothing_inline(api: Api) -> None:
    page = api.app.test_client().get("/docs")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert re.findall(r"<script>|<style", page.text) == []
    for script in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert api.app.test_client().get(script, buffered=True).status_code == 200, script


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example.org"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_of_another_site_is_refused_whatever_it_knows(api: Api, headers: dict[str, str]) -> None:
    browser = signed_in(api)
    fields = {"csrf": browser.token(), "name": "x"}
    assert browser.client.post("/agents/new", data=fields, headers=headers).status_code == 403
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert browser.client.post("/agents/new", data=fields, headers=own).status_code != 403


def test_a_key_ends_when_it_said_and_tells_when_it_was_used(api: Api) -> None:
    made = api.post("/api-keys", {"name": "short", "scopes": ["read"], "expires_at": "2090-01-01T00:00:00Z"})
    assert made["expires_at"] == "2090-01-01T00:00:00Z"
    assert made["last_used_at"] is None
    headers = {"Authorization": f"Bearer {made['key']}"}
    client = api.app.test_client()
    assert client.get("/api/v1/agents", headers=headers).status_code == 200
    used = api.get(f"/api-keys/{made['id']}")["last_used_at"]
    assert used is not None
    assert client.get("/api/v1/agents", headers=headers).status_code == 200
    assert api.get(f"/api-keys/{made['id']}")["last_used_at"] == used
    change(api.db, "UPDATE api_keys SET expires_at = clock_timestamp() - interval '1 s' WHERE name = 'short'")
    assert client.get("/api/v1/agents", headers=headers).status_code == 401
    assert api.call("GET", f"/api-keys/{made['id']}").status_code == 404


def test_a_key_that_has_ended_already_is_not_made(api: Api) -> None:
    body = {"name": "late", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}
    answer = api.call("POST", "/api-keys", body)
    assert answer.status_code == 422
    assert answer.get_json()["field"] == "expires_at"


def test_no_part_of_a_key_that_a_person_made_up_is_kept(api: Api) -> None:
    held = rows(api.db, "SELECT prefix FROM api_keys WHERE name = 'first admin'")
    assert [row.prefix for row in held] in ([""], [])


@pytest.mark.parametrize(
    "password",
    ["password1234", "annannannann", "aaaaaaaaaaaa", "123456789012", "qwertyuiop12", "reveillereveille"],
)
def test_a_password_that_is_guessed_at_once_is_refused(api: Api, password: str) -> None:
    answer = api.call("POST", "/web-users", {"name": "ann", "password": password})
    assert answer.status_code == 422
    assert "easy to guess" in answer.get_json()["detail"]
    made = api.post("/web-users", {"name": "ann", "password": "four odd words here"})
    assert api.call("PATCH", f"/web-users/{made['id']}", {"password": password}).status_code == 422


def test_several_keys_open_what_each_has_sealed() -> None:
    old, new = SecretBox("the old secret key"), SecretBox("the new secret key, the old secret key")
    blob = old.encrypt("s")
    assert new.decrypt(blob) == "s"
    assert not new.is_newest(blob)
    assert new.is_newest(new.encrypt("s"))
    assert SecretBox("the new secret key").decrypt(new.encrypt("s")) == "s"


def test_secrets_are_re_encrypted_in_every_table_that_holds_some(api: Api) -> None:
    from scheduler.storage.secrets import SEALED, reseal
    from scheduler.storage.tables.base import Base

    hashes = {"key_hash", "token_hash", "complete_token_hash", "content_hash", "badge_hash"}
    held = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if str(column.type) in ("BYTEA", "BLOB") and column.name not in hashes | {"payload", "body"}
    }
    assert held == set(SEALED)
    agent_id = api.agent("ada")["id"]
    api.post("/models", {"name": "m", "provider": "openai", "model": "m-1", "key": "sk-1"})
    hook = {"signature": {"scheme": "github", "secret": "s"}}
    api.post(f"/agents/{agent_id}/triggers", {"name": "t", "type": "webhook", "config": hook})
    old = api.app.extensions["reveille"].settings.secret_key.get_secret_value()
    done = reseal(api.db, SecretBox(f"a newer secret key,{old}"))
    assert (done.anew, done.newest, done.closed) == (2, 0, 0)
    box = SecretBox("a newer secret key")
    assert box.decrypt(rows(api.db, "SELECT key FROM models")[0].key) == "sk-1"
    assert box.is_newest(rows(api.db, "SELECT secret FROM triggers WHERE secret IS NOT NULL")[0].secret)
    assert reseal(api.db, box).newest == 2
    assert reseal(api.db, SecretBox("another key altogether")).closed == 2


def test_one_key_with_commas_still_opens_what_it_has_sealed() -> None:
    import base64
    from hashlib import sha256

    from cryptography.fernet import Fernet

    key = "a key, with commas"
    blob = Fernet(base64.urlsafe_b64encode(sha256(key.encode()).digest())).encrypt(b"s")
    assert SecretBox(key).decrypt(blob) == "s"


def test_wrong_keys_are_slowed_and_the_right_one_is_not(api: Api) -> None:
    """Counted by address; the web's sign-in counts together with the API."""
    wrong = [
        api.app.test_client().get("/api/v1/agents", headers={"Authorization": f"Bearer rvl_wrong_{tried}"})
        for tried in range(62)
    ]
    assert [answer.status_code for answer in wrong] == [401] * 60 + [429] * 2
    assert 0 < int(wrong[-1].headers["Retry-After"]) <= 60
    assert api.call("GET", "/agents").status_code == 200
