"""How the console client ends when something is wrong: one line that says what to do, and an exit code."""

from __future__ import annotations

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from uuid import uuid4

import pytest

from scheduler.commands.exits import ExitCode
from tests.support.shell import Shell
from tests.support.web import free_port


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["agents", "list", "--key", "wrong"], ExitCode.KEY_REFUSED, "--key or REVEILLE_API_KEY"),
        (["agents", "show", "nobody"], ExitCode.NOT_FOUND, "no agent 'nobody'"),
        (["triggers", "show", "nobody/tick"], ExitCode.NOT_FOUND, "no trigger 'nobody/tick'"),
        (["invocations", "show", str(uuid4())], ExitCode.NOT_FOUND, "no invocation"),
        (["invocations", "show", "one/two?three"], ExitCode.NOT_FOUND, "no invocation"),
        (["keys", "revoke", str(uuid4()), "--yes"], ExitCode.NOT_FOUND, "no key"),
        (["keys", "create", "k", "--scope", "everything"], ExitCode.USAGE, "--scope: "),
        (["triggers", "preview", "--expr", "61 * * * *"], ExitCode.USAGE, "--expr: "),
        (["triggers", "preview", "--every", "0s"], ExitCode.USAGE, "--every (in seconds): "),
        (["triggers", "preview", "--every", "90"], ExitCode.USAGE, "20s, 5m, 2h or 1d"),
        (["triggers", "list", "ada", "--agent", "bob"], ExitCode.USAGE, "given twice"),
        (["triggers", "preview"], ExitCode.USAGE, "--expr, --at, --every"),
        (["triggers", "preview", "x/y", "--every", "5m"], ExitCode.USAGE, "not both"),
        (["triggers", "preview", "--every", "5m", "--at", "2099-01-01"], ExitCode.USAGE, "cannot be combined"),
        (
            ["triggers", "preview", "--type", "cron", "--every", "5m"],
            ExitCode.USAGE,
            "--every cannot be used with",
        ),
        (["triggers", "preview", "--type", "cron", "--config", "{"], ExitCode.USAGE, "--config is not JSON"),
        (["triggers", "preview", "--type", "cron", "--config", "[]"], ExitCode.USAGE, "must be a JSON object"),
        (["triggers", "preview", "--type", "cron", "--config", "@/none"], ExitCode.USAGE, "/none cannot be read"),
        (["agents", "create", "x"], ExitCode.USAGE, "--command, --a2a-url and --runtime"),
        (["agents", "create", "x", "--command", "rm"], ExitCode.USAGE, "--command: "),
        (["agents", "create", "", "--command", "echo"], ExitCode.USAGE, "name"),
        (["agents", "list", "--limit", "0"], ExitCode.USAGE, "--limit"),
        (["agents", "list", "--frobnicate"], ExitCode.USAGE, "--frobnicate"),
        (["agents"], ExitCode.USAGE, "--help"),
        (["frobnicate"], ExitCode.USAGE, "frobnicate"),
        (["agents", "list", "--url", "gopher://x"], ExitCode.USAGE, "--url"),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(
    shell: Shell, arguments: list[str], code: ExitCode, words: str
) -> None:
    assert shell(*arguments, code=code) == ""
    assert words in shell.err
    assert shell.err.startswith("reveille: ")
    assert shell.err.count("\n") == 1


def test_without_a_key_the_remedy_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REVEILLE_API_KEY")
    shell("agents", "list", code=ExitCode.KEY_REFUSED)
    assert shell.err == "reveille: An API key is required: pass one with --key or REVEILLE_API_KEY.\n"


def test_a_taken_name_fails_with_the_server_s_words(shell: Shell, agent: str) -> None:
    shell("agents", "create", agent, "--command", "echo", code=ExitCode.FAILED)
    assert "with that name" in shell.err


def test_a_service_that_does_not_answer_is_unreachable(shell: Shell) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    shell("agents", "list", "--url", url, code=ExitCode.UNREACHABLE)
    assert url in shell.err
    assert "does not answer (Connection refused); start it" in shell.err
    assert "--url or REVEILLE_URL" in shell.err


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<html>", ExitCode.FAILED),
        (404, b"not here", ExitCode.FAILED),
        (500, b"{}", ExitCode.FAILED),
        (503, b'{"detail": "The database does not answer."}', ExitCode.UNREACHABLE),
        (429, b'{"detail": "Slower."}', ExitCode.FAILED),
    ],
)
def test_an_unexpected_response_is_no_traceback(shell: Shell, status: int, body: bytes, code: ExitCode) -> None:
    class Strange(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus(status))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Logs nothing."""

    with HTTPServer(("127.0.0.1", 0), Strange) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            shell("agents", "list", "--url", f"http://127.0.0.1:{server.server_port}", code=code)
        finally:
            server.shutdown()
            thread.join()
    assert shell.err.count("\n") == 1


def test_a_bad_setting_is_a_usage_error(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVEILLE_URL", "not an address")
    shell("agents", "list", code=ExitCode.USAGE)
    assert "REVEILLE_URL" in shell.err
