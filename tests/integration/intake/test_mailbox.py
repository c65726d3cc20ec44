"""email against a real IMAP server, `pymap`, behind TLS; skipped where that is not installed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scheduler.triggers.email import EmailConfig, MailboxUnread, _MailBox
from tests.support.means import means

PYMAP = shutil.which("pymap")
pytestmark = [
    pytest.mark.skipif(PYMAP is None, reason="pymap, an IMAP server (PyPI), is not installed"),
    # The TLS before the server goes with the loop's thread.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def certificate(place: Path) -> Path:
    """A key and a certificate for localhost in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=localhost")
    now = datetime.now(UTC)  # noqa: TID251
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = place / "both.pem"
    path.write_bytes(
        key.private_bytes(*plain) + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return path


async def end() -> None:
    """End the other tasks of this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        if each is not None:
            each.cancel()
    await asyncio.gather(*(each for each in others if each is not None), return_exceptions=True)


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port at which the server is, by TLS that is trusted."""
    both, plain, secured = certificate(tmp_path), free_port(), free_port()
    monkeypatch.setenv("SSL_CERT_FILE", str(both))
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
        yield secured
    finally:
        server.kill()
        server.wait()
        asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_new_mails_fire_once_and_what_is_wrong_is_told(port: int) -> None:
    ways = means(address_of=lambda _host, _port: "127.0.0.1")

    def config(**more: Any) -> EmailConfig:
        given: dict[str, Any] = {"host": "localhost", "port": port, "username": "ada", "password": "pw"}
        return EmailConfig(**given | more)

    first = config().look_with(None, ways)
    assert first.data is None
    box = _MailBox("localhost", port, "127.0.0.1")
    box.login("ada", "pw", initial_folder=None)
    for number in range(22):
        box.append(f"From: x@e.org\r\nSubject: order {number}\r\n\r\nHello".encode(), "INBOX")
    second = config().look_with(first.cursor, ways)
    assert second.data is not None
    assert (len(second.data["mails"]), second.data["more"]) == (20, 2)
    third = config().look_with(second.cursor, ways)
    assert [each["subject"] for each in (third.data or {})["mails"]] == ["order 20", "order 21"]
    assert config().look_with(third.cursor, ways).data is None
    found = config(subject_contains="ORDER 7", mark_seen=True).look_with(first.cursor, ways)
    assert [each["subject"] for each in (found.data or {})["mails"]] == ["order 7"]
    box.folder.set("INBOX")
    marked = [each.subject for each in box.fetch(mark_seen=False) if "\\Seen" in each.flags]
    assert [each for each in marked if each.startswith("order")] == ["order 7"]
    box.logout()
    assert "UIDVALIDITY" in (config().look_with({"validity": 1, "uid": 1}, ways).note or "")
    for wrong, why in (({"password": "no"}, "refuses the user"), ({"mailbox": "Gone"}, "not there")):
        with pytest.raises(MailboxUnread, match=why):
            config(**wrong).look_with(first.cursor, ways)
