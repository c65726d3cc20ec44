"""/ws: a real client of real web processes, notified by a run that ends in another process."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread
from typing import Any
from uuid import UUID

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from api.sockets.socket_limits import PER_ADDRESS
from scheduler.domain.run import Replied
from scheduler.storage.engine import Database
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.invocations import AgentWithTrigger, fire, make_agent_with_trigger, run_once
from tests.support.messages import make_user, write
from tests.support.sockets import FAST, IMPATIENT, PATIENCE, opened, pushed
from tests.support.web import Web, running_web


@pytest.fixture
def web(api: Api, database_url: str) -> Iterator[Web]:
    """One web process on the test's database."""
    del api  # first the keys
    with running_web(database_url, app=FAST, env={"WEB_CONCURRENCY": "1"}) as web:
        yield web


@pytest.fixture
def woken(db: Database) -> AgentWithTrigger:
    return make_agent_with_trigger(db)


def reply(db: Database, woken: AgentWithTrigger, text: str = "All quiet.") -> UUID:
    fire(db, woken)
    return run_once(db, Replied(text))


def nothing_more(client: Any, db: Database, other: AgentWithTrigger) -> None:
    """Checks that the next event is the notification of `other`, made now, and nothing else."""
    reply(db, other, "the next")
    assert "the next" in pushed(client)["content"]


def until(db: Database, query: str, expected: int) -> None:
    """Waits until a count is as expected."""
    deadline = 200
    while rows(db, query)[0][0] != expected:
        deadline -= 1
        assert deadline, f"{query}: {rows(db, query)[0][0]}, not {expected}"
        rows(db, "SELECT pg_sleep(0.1)")


def test_a_reply_is_pushed_to_every_process_and_every_way_of_authentication(
    db: Database, api: Api, web: Web, database_url: str, woken: AgentWithTrigger
) -> None:
    with running_web(database_url, app=FAST, env={"WEB_CONCURRENCY": "1"}) as second, ExitStack() as stack:
        by_header = stack.enter_context(opened(web, api.key))
        by_protocol = stack.enter_context(
            opened(second, None, subprotocols=[Subprotocol("reveille"), Subprotocol(f"key.{api.key}")])
        )
        by_message = stack.enter_context(opened(second, None))
        by_message.send(json.dumps({"type": "authenticate", "key": api.key}))
        assert pushed(by_message) == {"type": "authenticated"}
        assert by_protocol.subprotocol == "reveille"
        invocation_id = reply(db, woken, "Grüße ⚡")
        for client in (by_header, by_protocol, by_message):
            message = pushed(client)
            assert message["type"] == "trigger_notification"
            assert message["content"].startswith("⚡ ")
            assert message["content"].endswith("\n\nGrüße ⚡")
            assert message["triggers"] == [rows(db, "SELECT trigger_name FROM firings")[0][0]]
            assert message["invocation_id"] == str(invocation_id)
            assert message["session_ids"] == []


def test_only_the_owners_sockets_are_told(db: Database, api: Api, web: Web, woken: AgentWithTrigger) -> None:
    other = make_agent_with_trigger(db, "eve")
    acme = api.tenant("acme")
    with ExitStack() as stack:
        of_acme = stack.enter_context(opened(web, api.key, tenant_id=acme))
        of_key = stack.enter_context(opened(web, api.with_key("read", tenant_id=acme).key))
        of_eve = stack.enter_context(opened(web, api.with_key(f"agent:{other.agent_id}").key))
        by_filter = stack.enter_context(opened(web, api.key, agent_id=other.agent_id))
        of_all = stack.enter_context(opened(web, api.with_key("read").key))
        reply(db, woken, "for ada's")
        assert "for ada's" in pushed(of_all)["content"]
        nothing_more(of_eve, db, other)
        assert "the next" in pushed(by_filter)["content"]
        for client in (of_acme, of_key):
            with pytest.raises(TimeoutError):
                client.recv(0.5)


def test_a_socket_opens_its_session_until_it_is_closed(
    db: Database, api: Api, web: Web, woken: AgentWithTrigger
) -> None:
    people = [make_user(db, name) for name in ("grace", "linus")]
    open_one, latest = [write(db, woken.agent_id, from_user_id=each).session_id for each in people]
    with (
        opened(web, api.key, session_id=open_one) as client,
        opened(web, api.key, user_id=people[1]) as of_linus,
        opened(web, api.key, user_id=people[0]) as of_grace,
    ):
        reply(db, woken)
        assert set(pushed(client)["session_ids"]) == {str(open_one), str(latest)}
        assert pushed(of_linus)["type"] == pushed(of_grace)["type"] == "trigger_notification"
        of_linus.close()
        until(db, "SELECT count(*) FROM live_sockets", 2)
        reply(db, woken, "again")
        assert pushed(client)["session_ids"] == [str(open_one)]
    until(db, "SELECT count(*) FROM live_sockets", 0)


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
BAD_HANDSHAKES: list[tuple[dict[str, str], str, int]] = [
    ({"Authorization": "Bearer nonsense"}, "", 401),
    ({"Authorization": "Basic Zm9v"}, "", 401),
    ({}, "?key=rvl_1", 422),
    ({}, "?agent_id=1", 422),
    ({"Sec-WebSocket-Version": "12"}, "", 426),
    ({"Sec-WebSocket-Key": "short"}, "", 426),
    ({"Upgrade": "h2c"}, "", 426),
]


def test_a_bad_handshake_is_refused_as_a_problem(web: Web) -> None:
    for headers, query, status in BAD_HANDSHAKES:
        answer = httpx.get(f"{web.url}/ws{query}", headers=HANDSHAKE | headers, timeout=PATIENCE)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.headers.get("Sec-WebSocket-Version") == "13") is (status == 426)


def test_what_the_key_does_not_reach_is_not_there(
    db: Database, api: Api, web: Web, woken: AgentWithTrigger
) -> None:
    session_id = write(db, woken.agent_id, from_user_id=make_user(db)).session_id
    eve = make_agent_with_trigger(db, "eve")
    eves = api.with_key(f"agent:{eve.agent_id}").key
    acmes = api.with_key("read", tenant_id=api.tenant("acme")).key
    refused_to: list[tuple[str | None, dict[str, Any]]] = [
        (eves, {"agent_id": woken.agent_id}),
        (eves, {"session_id": session_id}),
        (acmes, {"session_id": session_id}),
        (acmes, {"agent_id": woken.agent_id}),
    ]
    for key, wanted in refused_to:
        with pytest.raises(InvalidStatus) as refused, opened(web, key, **wanted):
            pass
        assert refused.value.response.status_code == 404
    assert rows(db, "SELECT * FROM live_sockets") == []


def test_a_bad_first_message_closes_the_socket(web: Web) -> None:
    for first in ('{"type": "authenticate", "key": "rvl_wrong"}', "no JSON", "[]", '{"key": 1}', "x" * 5000):
        with opened(web, None) as client:
            client.send(first)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(PATIENCE)
        expected = CloseCode.MESSAGE_TOO_BIG if len(first) > 4096 else CloseCode.POLICY_VIOLATION
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == expected


def test_a_revoked_key_sees_nothing_more(db: Database, api: Api, web: Web) -> None:
    with opened(web, api.with_key("read").key) as client:
        change(db, "UPDATE api_keys SET revoked_at = clock_timestamp() WHERE name = 'read'")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CloseCode.POLICY_VIOLATION


def test_a_revoked_key_is_pushed_nothing_and_cannot_stay(
    db: Database, api: Api, web: Web, woken: AgentWithTrigger
) -> None:
    """A client that does not answer the close message is disconnected anyway."""
    handshake = (
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Authorization: Bearer {api.with_key('read').key}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with web.connect() as bare:
        bare.sendall(handshake.encode())
        assert b"101 Switching Protocols" in bare.recv(4096)
        change(db, "UPDATE api_keys SET revoked_at = clock_timestamp() WHERE name = 'read'")
        received = b""
        while piece := bare.recv(4096):
            received += piece
        reply(db, woken)
    assert b"The API key was revoked." in received
    assert b"trigger_notification" not in received


def test_unauthenticated_sockets_have_separate_places(web: Web, api: Api) -> None:
    """The oldest of one address is closed, and clients with a key are not refused because of it."""
    with ExitStack() as stack:
        silent = [stack.enter_context(opened(web, None)) for _ in range(PER_ADDRESS + 5)]
        for client in silent[:5]:
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == CloseCode.TRY_AGAIN_LATER
        silent[-1].send(json.dumps({"type": "authenticate", "key": api.key}))
        assert pushed(silent[-1]) == {"type": "authenticated"}
        stack.enter_context(opened(web, api.key))


def test_a_client_that_answers_no_ping_is_noticed(db: Database, api: Api, database_url: str) -> None:
    user_id = make_user(db)
    handshake = (
        f"GET /ws?user_id={user_id} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Authorization: Bearer {api.key}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with running_web(database_url, app=IMPATIENT, env={"WEB_CONCURRENCY": "1"}) as web, web.connect() as bare:
        bare.sendall(handshake.encode())
        assert b"101 Switching Protocols" in bare.recv(4096)
        until(db, "SELECT count(*) FROM live_sockets", 1)
        until(db, "SELECT count(*) FROM live_sockets", 0)


def test_sockets_outlive_the_databases_absence(db: Database, api: Api, web: Web, woken: AgentWithTrigger) -> None:
    with opened(web, api.key) as client:
        reply(db, woken, "before")
        assert "before" in pushed(client)["content"]
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'reveille-%'"
        rows(db, cut + " AND pid <> pg_backend_pid() AND datname = current_database()")
        reply(db, woken, "while nobody listened")
        assert "while nobody listened" in pushed(client)["content"]
        reply(db, woken, "after")
        assert "after" in pushed(client)["content"]


def test_two_hundred_sockets_take_neither_connections_nor_threads(
    db: Database, api: Api, web: Web, woken: AgentWithTrigger
) -> None:
    user_id = make_user(db)
    write(db, woken.agent_id, from_user_id=user_id)
    with ExitStack() as stack:
        clients = [stack.enter_context(opened(web, api.key, user_id=user_id)) for _ in range(200)]
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('reveille-web', 'reveille-live')"
        # including this test's own API
        assert rows(db, query + " AND datname = current_database()")[0][0] <= 3 + 3 + 1
        assert httpx.get(f"{web.url}/healthz", timeout=60).status_code == 200
        reply(db, woken)
        assert {pushed(client)["type"] for client in clients} == {"trigger_notification"}
        assert rows(db, "SELECT count(*) FROM live_sockets")[0][0] == 200
        leaving = [Thread(target=client.close) for client in clients]
        for each in leaving:
            each.start()
        for each in leaving:
            each.join()
    until(db, "SELECT count(*) FROM live_sockets", 0)


def test_a_process_that_stops_says_goodbye(db: Database, api: Api, database_url: str) -> None:
    user_id = make_user(db)
    with running_web(database_url, app=FAST, env={"WEB_CONCURRENCY": "1"}) as web:
        with opened(web, api.key, user_id=user_id) as client:
            web.process.terminate()
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CloseCode.GOING_AWAY
        web.process.wait(30)
    assert rows(db, "SELECT * FROM live_sockets") == []


def test_a_server_without_websockets_says_so(api: Api) -> None:
    assert api.refused(501, "GET", "//ws", headers=HANDSHAKE)["title"] == "The server cannot keep a WebSocket"


def test_a_socket_is_not_a_way_to_hold_a_thread(web: Web) -> None:
    """Forty sockets never authenticate, and the process still answers."""
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(opened(web, None))
        assert isinstance(stack.enter_context(web.connect()), socket.socket)
        assert httpx.get(f"{web.url}/healthz", timeout=60).status_code == 200
