"""The first page: what it shows of one tenant, and how it stays live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

import httpx
import pytest

from api.web.streams import PER_VIEWER
from scheduler.storage.engine import Database
from tests.support.api import Api, operator_key, running_api
from tests.support.database import change, rows
from tests.support.factories import make_agent
from tests.support.pages import signed_in
from tests.support.web import Web, running_web

PATIENCE = 5.0
"""Seconds; usually it takes less than one, but longer on a busy machine."""
LISTENERS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'reveille-live' AND datname = current_database()"
)


def test_an_empty_installation_shows_the_three_steps(api: Api) -> None:
    browser = signed_in(api)
    assert "Three steps to your first wake" in browser.get("/")
    trigger = api.trigger(api.agent("ada")["id"])
    assert 'class="did"' not in browser.get("/")
    api.post(f"/triggers/{trigger['id']}/fire", status=202)


def test_firings_windows_and_what_comes_are_in_the_picture(api: Api) -> None:
    trigger = api.trigger(api.agent("ada", dedup_delay_seconds=60)["id"], "tick", config={"minutes": 3})
    fired = api.post(f"/triggers/{trigger['id']}/fire", status=202)
    page = signed_in(api).get("/")
    assert "Three steps" not in page
    assert "tick (interval) fired at" in page
    assert f"/invocations/{fired['invocation_id']}" in page
    assert "woken by tick (interval): closes at" in page
    assert "tick (interval) fires next at" in page


def test_the_picture_holds_nothing_of_another_tenant_and_no_markup_of_anyone(api: Api) -> None:
    evil = "<script>alert(1)</script>"
    trigger = api.trigger(api.agent(evil)["id"], evil)
    api.post(f"/triggers/{trigger['id']}/fire", status=202)
    page = signed_in(api).get("/")
    assert evil not in page
    assert "&lt;script&gt;alert(1)" in page
    rival = signed_in(api, api.with_key("read", tenant_id=api.tenant("rival")).key)
    assert "alert(1)" not in rival.get("/")
    assert "alert(1)" not in rival.get("/now/picture")


@pytest.fixture
def web(database_url: str) -> Iterator[Web]:
    """gunicorn with our own configuration."""
    with running_web(database_url) as running:
        yield running


def session_cookie(database_url: str, db: Database) -> str:
    """Returns the cookie of an operator that any process on this database accepts."""
    with running_api(database_url) as api:
        browser = signed_in(api, operator_key(db))
        cookie = browser.client.get_cookie("reveille_session")
        assert cookie
        return f"reveille_session={cookie.value}"


class Stream:
    """A live page: its connection, and the events that arrived."""

    def __init__(self, web: Web, cookie: str) -> None:
        self.socket = web.connect()
        headers = f"Host: localhost\r\nAccept: text/event-stream\r\nCookie: {cookie}\r\n"
        self.socket.sendall(f"GET /now/stream HTTP/1.1\r\n{headers}\r\n".encode())
        self.received = ""

    def wait_for(self, text: str) -> None:
        """Reads until `text` has arrived; raises TimeoutError after the socket's timeout."""
        while text not in self.received:
            piece = self.socket.recv(65536)
            assert piece, f"closed before {text!r}: {self.received[:500]}"
            self.received += piece.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_many_live_pages_take_no_threads_and_share_one_connection(
    web: Web, database_url: str, db: Database
) -> None:
    """With 40 pages on 32 threads the API still answers, and a firing reaches every page."""
    cookie = session_cookie(database_url, db)
    with running_api(database_url) as api, ExitStack() as stack:
        trigger = api.trigger(api.agent("ada")["id"], "tick")
        pages = [stack.enter_context(Stream(web, cookie)) for _ in range(40)]
        for page in pages:
            page.wait_for("retry:")
        assert httpx.get(f"{web.url}/healthz", timeout=60).status_code == 200
        assert len(rows(db, LISTENERS)) == 1
        api.post(f"/triggers/{trigger['id']}/fire", status=202)
        for page in pages:
            page.wait_for("tick (interval) fired at")


def test_a_stream_requires_a_signed_in_viewer(web: Web) -> None:
    answer = httpx.get(f"{web.url}/now/stream", headers={"Accept": "text/event-stream"}, timeout=60)
    assert answer.status_code == 401


def test_a_server_that_keeps_its_sockets_streams_from_a_thread(api: Api) -> None:
    browser = signed_in(api)
    response = browser.client.get("/now/stream", headers={"Accept": "text/event-stream"})
    assert response.content_type.startswith("text/event-stream")
    events = response.iter_encoded()
    assert next(events) == b"retry: 3000\n\n"
    assert b"data: " in next(events)
    response.close()


def test_live_pages_come_back_after_the_database_was_unavailable(
    web: Web, database_url: str, db: Database
) -> None:
    """Every connection of the web process is cut; the next firing still reaches the open page."""
    cookie = session_cookie(database_url, db)
    with running_api(database_url) as api, Stream(web, cookie) as page:
        trigger = api.trigger(api.agent("ada")["id"], "tick", config={"minutes": 3})
        page.wait_for("fires next at")
        change(
            db,
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name IN ('reveille-live', 'reveille-web') AND datname = current_database()""",
        )
        api.post(f"/triggers/{trigger['id']}/fire", status=202)
        page.wait_for("tick (interval) fired at")


REVOKED = {
    "key": "UPDATE api_keys SET revoked_at = clock_timestamp() WHERE name = 'operator'",
    "sign-out": "DELETE FROM web_sessions",
    "end of session": "UPDATE web_sessions SET expires_at = clock_timestamp()",
}


@pytest.mark.parametrize("change_", REVOKED.values(), ids=REVOKED)
def test_a_live_page_ends_at_once_with_what_it_was_opened_by(
    web: Web, database_url: str, db: Database, change_: str
) -> None:
    """Nothing that happens afterwards is shown."""
    cookie = session_cookie(database_url, db)
    with running_api(database_url) as api, Stream(web, cookie) as page:
        page.wait_for("data:")
        change(db, change_)
        revoked_at = time.monotonic()
        make_agent(api.db, "made-afterwards")
        while piece := page.socket.recv(65536):
            page.received += piece.decode()
        assert time.monotonic() - revoked_at < PATIENCE
    assert "made-afterwards" not in page.received


def test_one_key_cannot_take_the_live_pages_of_all(web: Web, database_url: str, db: Database) -> None:
    cookie = session_cookie(database_url, db)
    with running_api(database_url) as api, ExitStack() as stack:
        other = signed_in(api, api.with_key("read").key).client.get_cookie("reveille_session")
        assert other
        for _ in range(PER_VIEWER):
            stack.enter_context(Stream(web, cookie)).wait_for("retry:")
        refused = httpx.get(f"{web.url}/now/stream", headers={"Cookie": cookie}, timeout=20)
        assert refused.status_code == 429
        stack.enter_context(Stream(web, f"reveille_session={other.value}")).wait_for("retry:")
