"""email with real IMAP servers behind TLS: pymap everywhere, Debian's Dovecot where it is installed."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from scheduler.triggers.email import EmailConfig
from scheduler.triggers.looks import CheckResult
from scheduler.triggers.mailbox import Account, Mailbox, MailboxUnreadable
from tests.support.certificates import certificate
from tests.support.check_resources import check_resources
from tests.support.dovecot import Dovecot, dovecot

# The TLS in front of pymap ends with the loop's thread.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PYMAP = Path(sys.executable).with_name("pymap")
WAYS = replace(check_resources(address_of=lambda _host, _port: "127.0.0.1"), trigger_id=uuid4())
OLD = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def end() -> None:
    """Ends the other tasks of this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        if each is not None:
            each.cancel()
    await asyncio.gather(*(each for each in others if each is not None), return_exceptions=True)


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@contextmanager
def pymap(place: Path) -> Iterator[int]:
    """Returns pymap's port."""
    both, plain, secured = certificate(place), free_port(), free_port()
    options = [
        "--port",
        str(plain),
        "--host",
        "127.0.0.1",
        "--no-tls",
        "dict",
        "--demo-data",
        "--demo-user",
        "ada",
    ]
    server = subprocess.Popen([str(PYMAP), *options, "--demo-password", "pw"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", plain)
        await asyncio.gather(carry(reader, outer), carry(inner, writer), return_exceptions=True)

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(
            asyncio.start_server(serve, "127.0.0.1", secured, ssl=context), loop
        ).result(5)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", plain)) == 0:
                    break
            time.sleep(0.02)
        yield secured
    finally:
        server.kill()
        server.wait()
        asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    """Dovecot."""
    with dovecot(tmp_path_factory.mktemp("dovecot")) as found:
        yield found


@pytest.fixture
def server(started: Dovecot, monkeypatch: pytest.MonkeyPatch) -> Dovecot:
    """Dovecot, whose certificate is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(started.certificate))
    return started


@pytest.fixture(params=["pymap", "dovecot"])
def port(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of each server."""
    if request.param == "dovecot":
        yield request.getfixturevalue("server").port
        return
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "both.pem"))
    with pymap(tmp_path) as found:
        yield found


def config(port: int, username: str = "ada", **more: Any) -> EmailConfig:
    given = {"host": "localhost", "port": port, "username": username, "password": "pw"}
    return EmailConfig.model_validate(given | more)


@contextmanager
def signed_in(port: int, username: str = "ada") -> Iterator[Mailbox]:
    with Account("localhost", port, username, "pw", None).opened("127.0.0.1") as box:
        yield box


def send(box: Mailbox, subject: str, *, at: datetime | None = None, text: str = "Hello", number: str = "") -> None:
    """Delivers a mail, at a time of the server's clock."""
    head = f"From: x@e.org\r\nSubject: {subject}\r\nMessage-ID: <{number or subject}@e.org>\r\n\r\n"
    box.append((head + text).encode(), "INBOX", dt=at)


def subjects(sighting: CheckResult) -> list[str]:
    return [each["subject"] for each in (sighting.data or {"mails": []})["mails"]]


def test_new_mails_fire_once_and_what_is_wrong_is_told(port: int) -> None:
    first = config(port).look_with(None, WAYS)
    assert first.data is None
    with signed_in(port) as box:
        for number in range(22):
            send(box, f"order {number}")
    second = config(port).look_with(first.cursor, WAYS)
    assert (len(subjects(second)), (second.data or {})["more"], second.more) == (20, 2, True)
    third = config(port).look_with(second.cursor, WAYS)
    assert (subjects(third), third.more) == (["order 20", "order 21"], False)
    assert config(port).look_with(third.cursor, WAYS).data is None
    found = config(port, subject="ORDER 7", mark_seen=True).look_with(first.cursor, WAYS)
    assert subjects(found) == ["order 7"]
    assert seen(port) == []
    assert found.settled is not None
    found.settled([])
    assert seen(port) == ["order 7"]
    for wrong, why in (({"password": "no"}, "refuses the user"), ({"mailbox": "Gone"}, "has no such mailbox")):
        with pytest.raises(MailboxUnreadable, match=why):
            config(port, **wrong).look_with(first.cursor, WAYS)


def seen(port: int) -> list[str]:
    with signed_in(port) as box:
        box.choose("INBOX")
        mails = [each for each in box.fetch(mark_seen=False) if each.subject.startswith("order")]
        return [each.subject for each in mails if "\\Seen" in each.flags]


def test_a_mail_is_kept_whole_up_to_1_mib(server: Dovecot) -> None:
    first = config(server.port, "bob").look_with(None, WAYS)
    with signed_in(server.port, "bob") as box:
        send(box, "long", text="word " * 2_000)
        send(box, "longest", text="x" * 1_200_000)
        send(box, "not wanted")
    found = config(server.port, "bob", subject="long", **{"from": "E.ORG"}).look_with(first.cursor, WAYS)
    assert found.data is not None
    assert [(each["document"], each.get("document_cut")) for each in found.data["mails"]] == [(1, None), (2, True)]
    assert [len(each.body) for each in found.documents] == [10_058, 1024 * 1024]
    assert b"word word" in found.documents[0].body
    assert found.documents[0].content_type == "message/rfc822"


def test_a_mailbox_that_is_renumbered_loses_and_repeats_nothing(server: Dovecot) -> None:
    with signed_in(server.port, "cyd") as box:
        for number in range(3):
            send(box, f"old {number}", at=OLD)
        send(box, "newest", at=OLD + timedelta(days=30))
    look = config(server.port, "cyd").look_with
    first = look(None, WAYS)
    with signed_in(server.port, "cyd") as box:
        send(box, "seen", at=OLD + timedelta(days=31))
    second = look(first.cursor, WAYS)
    assert subjects(second) == ["seen"]
    with signed_in(server.port, "cyd") as box:
        for number in range(23):
            send(box, f"between {number}", at=OLD + timedelta(days=31, hours=1))
    server.number_anew("cyd")
    with signed_in(server.port, "cyd") as box:
        send(box, "after", at=OLD + timedelta(days=32))
    third = look(second.cursor, WAYS)
    assert "renumbered" in (third.note or "")
    fourth = look(third.cursor, WAYS)
    assert sorted(subjects(third) + subjects(fourth)) == sorted(["after", *(f"between {n}" for n in range(23))])
    with signed_in(server.port, "cyd") as box:
        send(box, "last")
    fifth = look(fourth.cursor, WAYS)
    assert (subjects(fifth), fifth.note) == (["last"], None)
    assert fifth.cursor.keys() == {"validity", "uid", "known", "newest"}


def test_a_cursor_of_the_version_before_goes_on(server: Dovecot) -> None:
    first = config(server.port, "dan").look_with(None, WAYS).cursor
    with signed_in(server.port, "dan") as box:
        send(box, "new")
    bare = {name: first[name] for name in ("validity", "uid")}
    assert subjects(config(server.port, "dan").look_with(bare, WAYS)) == ["new"]
    assert "counted from now on" in (
        config(server.port, "dan").look_with({"validity": 1, "uid": 1}, WAYS).note or ""
    )


def test_a_token_signs_in_by_xoauth2(server: Dovecot) -> None:
    token: dict[str, Any] = {"password": None, "token": "tok"}
    assert "mails" in config(server.port, **token).look_with(None, WAYS).shown
    with pytest.raises(MailboxUnreadable, match="refuses the user"):
        config(server.port, **token | {"token": "stale"}).look_with(None, WAYS)
    with pytest.raises(MailboxUnreadable, match="refuses the user"):
        config(server.port, password="pä").look_with(None, WAYS)


def test_a_mailbox_that_is_deleted_is_told_and_goes_on_when_it_is_back(server: Dovecot) -> None:
    look = config(server.port, "eve", mailbox="Bestellungen.Ä").look_with
    with signed_in(server.port, "eve") as box:
        box.folder.create("Bestellungen.Ä")
    first = look(None, WAYS)
    with signed_in(server.port, "eve") as box:
        box.folder.delete("Bestellungen.Ä")
    with pytest.raises(MailboxUnreadable, match="has no such mailbox"):
        look(first.cursor, WAYS)
    with signed_in(server.port, "eve") as box:
        box.folder.create("Bestellungen.Ä")
        box.append(b"Subject: back\r\n\r\nx", "Bestellungen.Ä")
    assert subjects(look(first.cursor, WAYS)) == ["back"]
