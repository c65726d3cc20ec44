"""Lists as files for spreadsheets: whole, filtered, harmless, and made while they are sent."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator

import pytest

from api.web.csv_files import BATCH, cell
from api.web.csv_lists import LISTS
from scheduler.domain.run import Failed
from tests.support.api import Api
from tests.support.database import change
from tests.support.invocations import fire, make_woken, run_once
from tests.support.pages import Browser, signed_in

COPIES = """
    INSERT INTO audit_events (id, tenant_id, at, actor, action, subject_type, detail)
    SELECT uuidv7(), (SELECT id FROM tenants WHERE name = 'default'), clock_timestamp(), 'key:bench', 'trigger.paused',
        'trigger', jsonb_build_object('note', repeat('x', 200))
    FROM generate_series(1, :count)
"""


def rows_of(browser: Browser, path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(browser.get(path))))


def test_every_list_is_a_file_with_the_filters_of_its_page(api: Api) -> None:
    woken = make_woken(api.db, "=HYPERLINK(1)")
    fire(api.db, woken)
    dead = run_once(api.db, Failed('+1 went wrong,\n"quoted"', permanent=True))
    make_woken(api.db, "bob")
    browser = signed_in(api)
    for name in (*LISTS, "insights"):
        response = browser.client.get(f"/csv/{name}")
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
    reader = signed_in(api, api.with_key("read").key)
    reader.get("/csv/keys", 403)
    other = signed_in(api, api.with_key("read", tenant_id=api.tenant("other")).key)
    assert rows_of(other, "/csv/dead") == rows_of(other, "/csv/agents") == []


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
