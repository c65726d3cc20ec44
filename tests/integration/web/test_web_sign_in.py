"""Signing in to the pages, and what each user sees."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from scheduler.domain.passwords import hash_password
from scheduler.storage.web_sessions import create_user
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT
from tests.support.pages import HIDDEN, Browser, signed_in
from tests.support.web import running_web

PASSWORD = "correct horse battery"
FIRST_PAGE = "/triggers"


def make_user(api: Api, name: str = "grace", **values: object) -> None:
    fields = {
        "name": name,
        "password_hash": hash_password(PASSWORD),
        "scope": "write",
        "tenant_id": DEFAULT_TENANT,
    }
    with api.db.begin() as conn:
        create_user(conn, fields | values)


def test_a_key_signs_in_and_only_the_hash_of_the_cookie_is_stored(api: Api) -> None:
    browser = signed_in(api)
    assert "Triggers" in browser.get(FIRST_PAGE)
    cookie = browser.client.get_cookie("reveille_session")
    assert cookie
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    stored = rows(api.db, "SELECT * FROM web_sessions")
    assert len(stored) == 1
    assert cookie.value not in str(stored[0])
    assert (
        rows(api.db, "SELECT actor FROM audit_events WHERE action = 'session.started'")[0].actor == "key:operator"
    )


def test_a_name_and_password_sign_in(api: Api) -> None:
    make_user(api)
    browser = Browser(api)
    assert browser.sign_in(name="grace", password=PASSWORD).status_code == 303
    assert "grace" in browser.get(FIRST_PAGE)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"key": "rvl_wrong"}, 401),
        ({"name": "grace", "password": "wrong"}, 401),
        ({"name": "nobody", "password": PASSWORD}, 401),
        ({"name": "grace", "password": ""}, 422),
        ({}, 422),
    ],
)
def test_wrong_credentials_sign_nobody_in(api: Api, fields: dict[str, str], status: int) -> None:
    make_user(api)
    browser = Browser(api)
    response = browser.sign_in(**fields)
    assert response.status_code == status
    assert 'role="alert"' in response.text
    assert rows(api.db, "SELECT FROM web_sessions") == []


def test_an_agents_own_key_is_refused_with_the_reason(api: Api) -> None:
    key = api.with_key(f"agent:{api.agent()['id']}").key
    response = Browser(api).sign_in(key=str(key))
    assert response.status_code == 422
    assert "belongs to a single agent" in response.text


def test_too_many_failures_are_refused_even_with_the_right_password(api: Api) -> None:
    make_user(api)
    browser = Browser(api)
    for _ in range(10):
        assert browser.sign_in(name="grace", password="wrong").status_code == 401
    assert browser.sign_in(name="grace", password=PASSWORD).status_code == 429
    assert browser.sign_in(key=api.key or "").status_code == 303


def test_wrong_attempts_lock_out_nobody_else(api: Api) -> None:
    """Neither the name at another address, nor another name or the right key at the same one."""
    make_user(api)
    make_user(api, "linus")
    browser, elsewhere = Browser(api), Browser(api)
    for _ in range(10):
        browser.sign_in(name="grace", password="wrong")
    elsewhere.client.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    assert elsewhere.sign_in(name="grace", password=PASSWORD).status_code == 303
    assert browser.sign_in(name="linus", password=PASSWORD).status_code == 303
    browser = Browser(api)
    token = browser.token("/sign-in")
    wrong = [browser.post("/sign-in", csrf=token, key=f"rvl_{n}").status_code for n in range(61)]
    assert wrong == [401] * 60 + [429]
    assert browser.post("/sign-in", csrf=token, key=api.key).status_code == 303


def test_right_passwords_do_not_count(api: Api) -> None:
    make_user(api)
    assert {Browser(api).sign_in(name="grace", password=PASSWORD).status_code for _ in range(12)} == {303}


def test_a_hundred_sign_ins_at_once_pass_no_limit_and_take_little(api: Api, database_url: str) -> None:
    """Ten are tried, two at a time; the rest are refused, and the process answers meanwhile."""
    make_user(api)
    with running_web(database_url, env={"WEB_CONCURRENCY": "1"}) as web:
        (worker,) = psutil.Process(web.process.pid).children()
        with httpx.Client(base_url=web.url, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
            form = client.get("/sign-in").text
            fields = {"csrf": HIDDEN.findall(form)[0], "name": "grace", "password": "wrong"}
            before = worker.memory_info().rss
            with ThreadPoolExecutor(100) as pool:
                tries = [pool.submit(client.post, "/sign-in", data=fields) for _ in range(100)]
                most = before
                while not all(each.done() for each in tries):
                    assert client.get("/healthz").status_code == 200
                    most = max(most, worker.memory_info().rss)
            assert Counter(each.result().status_code for each in tries) == {401: 10, 429: 90}
            assert most - before < 150 * 2**20


def test_who_is_signed_out_is_sent_to_sign_in_and_comes_back(api: Api) -> None:
    browser = Browser(api)
    response = browser.client.get(f"{FIRST_PAGE}?agent_id=x")
    assert (response.status_code, response.location) == (303, f"/sign-in?next={FIRST_PAGE}%3Fagent_id%3Dx")
    token = browser.token("/sign-in")
    entered = browser.post("/sign-in", csrf=token, key=api.key, next=f"{FIRST_PAGE}?agent_id=x")
    assert entered.location == f"{FIRST_PAGE}?agent_id=x"


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", ""]
)
def test_the_sign_in_leads_nowhere_else(api: Api, target: str) -> None:
    browser = Browser(api)
    entered = browser.post("/sign-in", csrf=browser.token("/sign-in"), key=api.key, next=target)
    assert entered.location == "/"


def test_a_script_that_is_signed_out_gets_401_instead_of_the_form(api: Api) -> None:
    client = Browser(api).client
    assert client.get(FIRST_PAGE, headers={"Reveille-Fragment": "1"}).status_code == 401
    assert client.get(FIRST_PAGE, headers={"Accept": "text/event-stream"}).status_code == 401


def test_signing_out_ends_the_session_on_the_server(api: Api) -> None:
    browser = signed_in(api)
    stolen = browser.client.get_cookie("reveille_session")
    assert stolen
    assert browser.post("/sign-out").location == "/sign-in"
    browser.client.set_cookie("reveille_session", stolen.value)
    assert browser.client.get(FIRST_PAGE).status_code == 303
    assert rows(api.db, "SELECT FROM web_sessions") == []


@pytest.mark.parametrize(
    "ended",
    [
        "UPDATE web_sessions SET expires_at = clock_timestamp()",
        "UPDATE web_sessions SET seen_at = seen_at - interval '24 hours 1 second'",
        "UPDATE api_keys SET revoked_at = clock_timestamp()",
    ],
)
def test_a_session_ends_with_its_time_and_with_its_key(api: Api, ended: str) -> None:
    browser = signed_in(api)
    browser.get(FIRST_PAGE)
    change(api.db, ended)
    assert browser.client.get(FIRST_PAGE).status_code == 303


def test_being_seen_keeps_a_session(api: Api) -> None:
    browser = signed_in(api)
    change(api.db, "UPDATE web_sessions SET seen_at = seen_at - interval '23 hours'")
    browser.get(FIRST_PAGE)
    assert rows(api.db, "SELECT FROM web_sessions WHERE seen_at > clock_timestamp() - interval '1 minute'")


def test_ended_sessions_are_removed_at_the_next_sign_in(api: Api) -> None:
    signed_in(api)
    change(api.db, "UPDATE web_sessions SET expires_at = clock_timestamp()")
    signed_in(api)
    assert len(rows(api.db, "SELECT FROM web_sessions")) == 1


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
def test_a_form_without_its_token_is_refused(api: Api, csrf: str) -> None:
    browser = signed_in(api)
    assert browser.post("/sign-out", csrf=csrf).status_code == 403
    assert browser.post("/sign-in", csrf=csrf, key=api.key).status_code == 403
    browser.get(FIRST_PAGE)


def test_a_token_of_another_session_is_refused(api: Api) -> None:
    browser, other = signed_in(api), signed_in(api)
    assert browser.post("/sign-out", csrf=other.token()).status_code == 403


def test_a_tenants_user_sees_that_tenant_alone(api: Api) -> None:
    acme = api.tenant("acme")
    api.trigger(api.agent()["id"], "of-default")
    rival = signed_in(api, api.with_key("admin", tenant_id=acme).key)
    assert "of-default" not in rival.get(FIRST_PAGE)
    assert rival.post("/tenant", csrf=rival.token(FIRST_PAGE), tenant_id=str(DEFAULT_TENANT)).status_code == 404
    assert rival.client.get("/tenant").status_code == 303


def test_an_operator_chooses_the_tenant(api: Api) -> None:
    acme = api.tenant("acme")
    api.trigger(api.agent()["id"], "of-default")
    browser = signed_in(api)
    assert "of-default" in browser.get(FIRST_PAGE)
    assert browser.post("/tenant", tenant_id=acme).status_code == 303
    page = browser.get(FIRST_PAGE)
    assert "of-default" not in page
    assert "Switched to acme." in page
    assert "Switched to acme." not in browser.get(FIRST_PAGE)
    assert browser.post("/tenant", tenant_id="no id").status_code == 404


def test_pages_allow_no_inline_script_and_are_kept_nowhere(api: Api) -> None:
    browser = signed_in(api)
    for path in (FIRST_PAGE, "/tenant", "/sign-in"):
        response = browser.client.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert "style=" not in response.text
        assert "<script>" not in response.text


def test_what_belongs_to_the_pages_is_kept_by_browsers(api: Api) -> None:
    page = Browser(api).get("/sign-in")
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    response = Browser(api).client.get(address, buffered=True)
    response.close()
    assert response.status_code == 200
    assert "max-age=31536000" in response.headers["Cache-Control"]


def test_the_cookie_is_secure_behind_https(api: Api) -> None:
    browser = Browser(api)
    form = browser.client.get("/sign-in", base_url="https://localhost")
    assert "Secure" in form.headers["Set-Cookie"]
