"""The console client with a server that answers strangely, or with texts that would control the terminal."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any

import pytest
from rich.cells import cell_len

from scheduler.commands.exits import ExitCode
from scheduler.commands.output import View, short_ids, show_table
from tests.support.shell import Shell

ID = "019f2a3b-4c5d-7000-8000-000000000001"
OTHER = "019f2a3b-4c5d-7000-8000-000000000002"
HOSTILE = "a\x1b[2J\x1b]0;t\x07\u202eb\r\nc\x9b31m\u2066\u200b"


class Strange(BaseHTTPRequestHandler):
    """Answers as the test says."""

    status = 200
    headers_sent: Mapping[str, str] = MappingProxyType({})
    body = b""
    cut = 0

    def do_GET(self) -> None:
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body) + self.cut))
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def answering(body: object, *, status: int = 200, cut: int = 0, **headers: str) -> Iterator[str]:
    """The address of a server that answers so."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler = type("Handler", (Strange,), {"status": status, "body": data, "cut": cut, "headers_sent": headers})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("REVEILLE_API_KEY", "rvl_x")
    monkeypatch.setenv("TZ", "UTC")
    return Shell(capsys)


@pytest.mark.parametrize(
    ("body", "options", "code", "words"),
    [
        (b"<html>", {}, ExitCode.FAILED, "not a Reveille response"),
        (b"<html>", {"status": 502}, ExitCode.UNREACHABLE, "502"),
        (b"", {"status": 301, "Location": "https://other.example/"}, ExitCode.FAILED, "redirects to"),
        (b'{"items": [', {"cut": 50}, ExitCode.UNREACHABLE, "does not answer"),
        (b"\x1f\x8b\x08nonsense", {"Content-Encoding": "gzip"}, ExitCode.UNREACHABLE, "broken"),
        ([], {}, ExitCode.FAILED, "another version"),
        ({}, {}, ExitCode.FAILED, "another version"),
        ({"items": 7, "next": None}, {}, ExitCode.FAILED, "another version"),
        ({"items": ["text"], "next": None}, {}, ExitCode.FAILED, "another version"),
        ("text", {}, ExitCode.FAILED, "another version"),
        ({"detail": HOSTILE}, {"status": 409}, ExitCode.FAILED, "\\u202e"),
        ({"detail": ["list"], "title": 5}, {"status": 400}, ExitCode.FAILED, "not a Reveille response"),
        ({"detail": "The API key is wrong."}, {"status": 401}, ExitCode.KEY_REFUSED, "another key"),
    ],
    ids=[*"abcdefghijklm"],
)
def test_a_strange_answer_is_one_harmless_line(
    shell: Shell, body: object, options: dict[str, Any], code: ExitCode, words: str
) -> None:
    with answering(body, **options) as url:
        assert shell("agents", "list", "--url", url, code=code) == ""
    assert words in shell.err
    assert shell.err.count("\n") == 1
    assert shell.err.rstrip("\n").isprintable()


def test_a_server_that_goes_away_before_it_answers_is_unreachable(shell: Shell) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def hang_up() -> None:
            server.accept()[0].close()

        thread = Thread(target=hang_up)
        thread.start()
        shell("agents", "list", "--url", f"http://127.0.0.1:{server.getsockname()[1]}", code=ExitCode.UNREACHABLE)
        thread.join()
    assert shell.err.count("\n") == 1


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "gopher://x", "http://127.0.0.1:9"])
def test_a_proxy_that_does_not_work_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    code = ExitCode.UNREACHABLE if proxy.startswith("http:") else ExitCode.USAGE
    shell("agents", "list", "--url", "http://reveille.invalid", code=code)
    assert shell.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["list"], ["show", ID], ["list", "--wide"], ["list", "--json"], ["pause", ID]]
)
def test_others_texts_do_not_control_the_terminal(shell: Shell, arguments: list[str]) -> None:
    agent = {
        "id": ID,
        "name": HOSTILE,
        "runtime": {"kind": HOSTILE, HOSTILE: 1},
        "timezone": HOSTILE,
        "is_paused": True,
    }
    body = agent if arguments[0] != "list" else {"items": [agent], "next": HOSTILE}
    with answering(body) as url:
        out = shell("agents", *arguments, "--url", url)
    for line in (out + shell.err).split("\n"):
        assert line.isprintable(), ascii(line)
    assert "\\u202e" in out


def test_an_ambiguous_id_is_listed_and_nothing_is_done(shell: Shell) -> None:
    page = {"items": [{"id": ID, "name": "a"}, {"id": OTHER, "name": HOSTILE}], "next": None}
    with answering(page) as url:
        shell("agents", "pause", "019f2a3b", "--url", url, code=ExitCode.USAGE)
        assert ID in shell.err
        assert OTHER in shell.err
        assert shell.err.rstrip("\n").isprintable()
        shell("agents", "pause", "0abc", "--url", url, code=ExitCode.NOT_FOUND)


def test_ids_are_shortened_to_what_tells_them_apart() -> None:
    assert short_ids([ID]) == {ID: "019f2a3b"}
    assert short_ids([ID, OTHER]) == {ID: ID, OTHER: OTHER}
    apart = "019f2a3c-0000-7000-8000-000000000000"
    assert short_ids([ID, apart]) == {ID: "019f2a3b-4", apart: "019f2a3c-0"}


class Terminal(io.TextIOWrapper):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """What a table is on a terminal so wide, in Tokyo."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    def show(columns: int, view: View, *, encoding: str = "utf-8") -> list[str]:
        stdout = Terminal(io.BytesIO(), encoding=encoding, errors="backslashreplace")
        with monkeypatch.context() as patch:
            patch.setenv("COLUMNS", str(columns))
            patch.setattr("sys.stdout", stdout)
            show_table(ROWS, COLUMNS, empty="", view=view)
            stdout.flush()
        assert isinstance(stdout.buffer, io.BytesIO)
        return re.sub(r"\x1b\[[0-9;]*m", "", stdout.buffer.getvalue().decode(encoding)).splitlines()

    yield show
    monkeypatch.undo()
    time.tzset()


ROWS = [
    {"id": ID, "name": name, "made_at": "2026-11-29T15:00:00Z", "note": "wide " * 9}
    for name in ("plain", "夜回り", "👩\u200d👩\u200d👧", "e\u0301te\u0301")
]
COLUMNS = (("ID", "id"), ("NAME", "name"), ("AT", "made_at"), ("NOTE", "note"))


def test_a_table_fits_its_terminal(shown: Callable[..., list[str]]) -> None:
    lines = shown(80, View())
    assert all(cell_len(line) <= 80 for line in lines)
    rows = [line for line in lines if "2026-11-30 00:00:00 JST" in line]
    assert len(rows) == len(ROWS)
    assert {cell_len(line[: line.index("2026")]) for line in rows} == {cell_len(rows[0][: rows[0].index("2026")])}
    assert "019f2a3b " in rows[0]
    assert ID not in "".join(lines)


@pytest.mark.parametrize("columns", [20, 0, 1])
def test_rows_of_a_narrow_terminal_are_records(shown: Callable[..., list[str]], columns: int) -> None:
    assert "NAME  夜回り" in shown(columns, View())


@pytest.mark.parametrize("columns", range(30, 90))
def test_no_head_and_no_id_is_split_at_any_width(shown: Callable[..., list[str]], columns: int) -> None:
    lines = shown(columns, View())
    is_table = lines[0].split() == ["ID", "NAME", "AT", "NOTE"]
    assert is_table or "NAME  夜回り" in lines
    assert sum("2026-11-30 00:00:00 JST" in line for line in lines) == len(ROWS)


def test_wide_tables_have_a_line_a_row_and_whole_ids(shown: Callable[..., list[str]]) -> None:
    lines = shown(20, View(wide=True, utc=True))
    assert len(lines) == 1 + len(ROWS)
    assert all(ID in line and "2026-11-29 15:00:00 UTC" in line for line in lines[1:])


def test_a_terminal_without_the_characters_shows_others(shown: Callable[..., list[str]]) -> None:
    assert "\\u591c" in "".join(shown(120, View(), encoding="ascii"))
