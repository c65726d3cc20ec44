"""Web users through the API and the command: who may create them, and what happens to their sessions."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from scheduler.commands.exits import ExitCode
from scheduler.domain.errors import InvalidField
from scheduler.domain.passwords import hash_password, is_password
from tests.support.api import Api, served
from tests.support.database import rows
from tests.support.pages import Browser
from tests.support.shell import Shell

PASSWORD = "correct horse battery"


def test_a_password_is_stored_as_a_salted_scrypt_hash() -> None:
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first.startswith("scrypt$32768$8$1$")
    assert first != second
    assert is_password(PASSWORD, first)
    assert not is_password(PASSWORD + " ", first)
    assert not is_password(PASSWORD, None)
    assert not is_password("", None)
    for wrong in ("short", "x" * 201):
        with pytest.raises(InvalidField):
            hash_password(wrong)


def test_a_user_is_made_shown_changed_and_removed(api: Api) -> None:
    made = api.post("/web-users", {"name": "grace", "password": PASSWORD, "scope": "write"})
    assert "password" not in str(made)
    assert api.get(f"/web-users/{made['id']}") == made
    assert api.get("/web-users")["items"] == [made]
    browser = Browser(api)
    assert browser.sign_in(name="grace", password=PASSWORD).status_code == 303
    browser.get("/triggers")
    assert api.patch(f"/web-users/{made['id']}", {"password": "another long one"})["name"] == "grace"
    assert browser.client.get("/triggers").status_code == 303
    assert browser.sign_in(name="grace", password=PASSWORD).status_code == 401
    assert browser.sign_in(name="grace", password="another long one").status_code == 303
    api.delete(f"/web-users/{made['id']}")
    assert browser.client.get("/triggers").status_code == 303
    actions = [
        row.action for row in rows(api.db, "SELECT action FROM audit_events WHERE action LIKE 'web_user.%'")
    ]
    assert sorted(actions) == ["web_user.created", "web_user.deleted", "web_user.updated"]


def test_names_are_unique_and_operators_are_made_by_operators(api: Api) -> None:
    body = {"name": "grace", "password": PASSWORD}
    api.post("/web-users", body)
    api.refused(409, "POST", "/web-users", body)
    acme = api.tenant("acme")
    tenants_admin = api.with_key("admin", tenant_id=acme)
    tenants_admin.refused(403, "POST", "/web-users", {**body, "name": "x", "tenant_id": None})
    tenants_admin.refused(404, "POST", "/web-users", {**body, "name": "x", "tenant_id": api.tenant("other")})
    operator = api.post("/web-users", {**body, "name": "root", "tenant_id": None, "scope": "admin"})
    assert operator["tenant_id"] is None
    tenants_admin.refused(404, "GET", f"/web-users/{operator['id']}")
    api.refused(422, "POST", "/web-users", {"name": "x", "password": "short"})


@pytest.fixture
def shell(api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    with served(api) as url:
        monkeypatch.setenv("REVEILLE_URL", url)
        monkeypatch.setenv("REVEILLE_API_KEY", str(api.key))
        yield Shell(capsys)


def test_the_command_gives_passwords(api: Api, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert shell("web-password", "grace", "--scope", "write") == "grace can sign in with scope write.\n"
    assert Browser(api).sign_in(name="grace", password=PASSWORD).status_code == 303
    generated = shell.json("web-password", "grace", "--generate")
    assert generated["scope"] == "write"
    assert Browser(api).sign_in(name="grace", password=PASSWORD).status_code == 401
    assert Browser(api).sign_in(name="grace", password=generated["password"]).status_code == 303
    assert shell.json("web-password", "root", "--generate", "--operator", "--scope", "admin")["tenant_id"] is None
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    shell("web-password", "ada", code=ExitCode.USAGE)
    assert shell("web-password", "grace", "--remove", "--yes") == "grace cannot sign in.\n"
    assert api.get("/web-users")["items"][0]["name"] == "root"
