"""Lists as files for spreadsheets: whole, filtered, harmless, and made while they are sent."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator

import pytest

from api.web.csv.files import BATCH, cell
from api.web.csv.lists import LISTS
from api.web.csv.tables import TABLES
from scheduler.domain.run import Failed
from tests.support.api import Api
from tests.support.database import change
from tests.support.factories import make_agent
from tests.support.invocations import fire, make_agent_with_trigger, run_once
from tests.support.messages import make_user, write
from tests.support.pages import Browser, signed_in

COPIES = """
    INSERT INTO audit_events (id, tenant_id, at, actor, action, subject_type, detail)
    SELECT uuidv7(), (SELECT id FROM tenants WHERE name = 'default'), clock_timestamp(), 'key:bench', 'trigger.paused',
        'trigger', jsonb_build_object('note', repeat('x', 200))
    FROM generate_series(1, :count)
"""

SIGN_INS = """
    INSERT INTO web_sessions (token_hash, key_id, tenant_id, expires_at, created_at)
    SELECT sha256(CAST(CAST(number AS text) AS bytea)), key_id, tenant_id, expires_at, created_at
    FROM (SELECT * FROM web_sessions ORDER BY created_at LIMIT 1) s, generate_series(1, :count) AS number
"""


def rows_of(browser: Browser, path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(browser.get(path))))


def test_every_list_is_a_file_with_the_filters_of_its_page(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "=HYPERLINK(1)")
    fire(api.db, woken)
    dead = run_once(api.db, Failed('+1 went wrong,\n"quoted"', permanent=True))
    make_agent_with_trigger(api.db, "bob")
    session = write(api.db, woken.agent_id, from_user_id=make_user(api.db)).session_id
    browser = signed_in(api)
    for name in (*LISTS, *TABLES):
        response = browser.client.get(f"/csv/{name}?trigger_id={woken.trigger_id}&session_id={session}")
        assert response.status_code == 200, name
        assert response.content_type.startswith("text/csv")
        assert response.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
        assert response.text.count("\r\n") >= 1
    [row] = rows_of(browser, "/csv/dead")
    assert (row["id"], row["agent"], row["error"]) == (str(dead), "'=HYPERLINK(1)", '\'+1 went wrong,\n"quoted"')
    assert [each["name"] for each in rows_of(browser, "/csv/agents?q=bob")] == ["bob"]
    assert rows_of(browser, "/csv/invocations?state=succeeded") == []
    assert 'href="/csv/invocations?state=dead"' in browser.get("/invocations", state="dead")
    assert '""reason"": ""failed""' in browser.get("/csv/audit?action=invocation")
    browser.get("/csv/invocations?state=asleep", 422)
    browser.get("/csv/nothing", 404)
    [kind] = rows_of(browser, "/csv/error-kinds")
    assert (kind["count"], kind["agents"], kind["invocation_id"]) == ("1", "'=HYPERLINK(1)", str(dead))
    assert [each["id"] for each in rows_of(browser, "/csv/search?q=HYPERLINK")] == [str(woken.agent_id)]
    assert rows_of(browser, "/csv/failing-agents")[0]["failures"] == "1"
    assert rows_of(browser, "/csv/noisy-triggers")[0]["firings"] == "1"
    assert [each["action"] for each in rows_of(browser, f"/csv/history?trigger_id={woken.trigger_id}")] == [
        "trigger.fired",
        "trigger.created",
    ]
    reader = signed_in(api, api.with_key("read").key)
    reader.get("/csv/keys", 403)
    other = signed_in(api, api.with_key("read", tenant_id=api.tenant("other")).key)
    assert rows_of(other, "/csv/dead") == rows_of(other, "/csv/agents") == []
    other.get(f"/csv/history?trigger_id={woken.trigger_id}", 404)
    other.get("/csv/tenants", 404)
    assert [each["name"] for each in rows_of(browser, "/csv/tenants")] == ["other", "default"]


def test_the_messages_of_a_session_are_a_file(api: Api) -> None:
    agent, user = make_agent(api.db), make_user(api.db)
    session = write(api.db, agent, "=1+1", from_user_id=user).session_id
    write(api.db, agent, "is it raining?", from_user_id=user)
    browser = signed_in(api)
    link = f"/csv/messages?q=rain&session_id={session}"
    assert f'href="{link.replace("&", "&amp;")}"' in browser.get(f"/sessions/{session}", q="rain")
    assert [each["text"] for each in rows_of(browser, link)] == ["is it raining?"]
    assert [each["text"] for each in rows_of(browser, f"/csv/messages?session_id={session}")] == [
        "is it raining?",
        "'=1+1",
    ]
    browser.get("/csv/messages", 422)
    browser.get("/csv/messages?session_id=nothing", 422)
    other = signed_in(api, api.with_key("read", tenant_id=api.tenant("other")).key)
    other.get(f"/csv/messages?session_id={session}", 404)


def test_sign_ins_are_a_file_of_those_that_the_caller_may_see(api: Api) -> None:
    browser = signed_in(api)
    own = signed_in(api, api.with_key("read").key)
    change(api.db, SIGN_INS, count=BATCH)
    found = rows_of(browser, "/csv/sign-ins")
    assert len(found) == BATCH + 2
    assert [each["created_at"] for each in found] == sorted((each["created_at"] for each in found), reverse=True)
    assert {*found[0]} == {"name", "kind", "created_at", "seen_at"}, "nothing of the cookie"
    assert len(rows_of(browser, "/csv/sign-ins?q=read")) == 1
    assert [each["name"] for each in rows_of(own, "/csv/sign-ins")] == ["read"]
    assert 'href="/csv/sign-ins?q=read"' in browser.get("/settings/sign-ins", q="read")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-2", "-2"),
        ("-2+cmd", "'-2+cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", "'\t=1"),
        ("\r1", "'\r1"),
        ("\uff1d1", "'\uff1d1"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_text_is_a_formula(text: str, shown: str) -> None:
    assert cell(text, "UTC") == shown


def test_a_long_list_is_whole_and_held_a_piece_at_a_time(api: Api) -> None:
    count = 20 * BATCH + 1
    change(api.db, COPIES, count=count)
    browser = signed_in(api)
    response = browser.client.get("/csv/audit?action=trigger.paused", buffered=False)
    pieces: Iterator[bytes] = iter(response.iter_encoded())
    tracemalloc.start()
    lines = sum(piece.count(b"trigger.paused") for piece in pieces)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines == count
    assert most < 4 * BATCH * 2_000, "the whole is over 4 MB"
