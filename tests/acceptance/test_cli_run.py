"""`reveille run` from nothing, used only through the command: an agent is woken and its invocation is shown."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

import pytest

from tests.acceptance.agent_server import agent_server
from tests.acceptance.tools import command, environment

START_SECONDS = 90.0


@dataclass
class Running:
    """A `reveille run`, its output, and the environment for other commands."""

    process: subprocess.Popen[str]
    lines: list[str]
    variables: dict[str, str]

    def line_with(self, words: str) -> str:
        """Returns the first line of its output that contains `words`; waits for it."""
        return str(wait_for(lambda: next((line for line in list(self.lines) if words in line), None)))

    def ask(self, *arguments: str) -> Any:
        """Returns a command's output with --json."""
        done = subprocess.run(
            command(*arguments, "--json"), env=self.variables, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="reveille-run-") as directory:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        variables = environment(
            REVEILLE_DATA_DIR=str(Path(directory) / "var"),
            REVEILLE_COMMANDS=json.dumps({"cat": ["/bin/cat"]}),
            REVEILLE_URL=f"http://127.0.0.1:{port}",
            PORT=str(port),
        )
        with subprocess.Popen(
            command("run"), env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            lines: list[str] = []
            reader = Thread(target=read, args=(process.stdout, lines))
            reader.start()
            try:
                yield Running(process, lines, variables)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)
                reader.join()


def test_an_agent_is_woken_once_for_what_its_triggers_fired(running: Running) -> None:
    key = running.line_with("Admin key, shown this once: ").rpartition(" ")[2]
    running.line_with("Reveille listens on")
    assert "/, the web UI." in running.line_with("sign in with the admin key")
    running.variables["REVEILLE_API_KEY"] = key
    agent = running.ask("agents", "create", "cat", "--command", "cat", "--window", "10s")
    for name in ("one", "two"):
        running.ask(
            "triggers", "add", "cat", "--type", "webhook", "--name", name, "--reason", f"Because of {name}."
        )
    for name in ("one", "two"):
        running.ask("triggers", "fire", f"cat/{name}")
    listed = ("invocations", "list", "--agent", agent["id"], "--state", "succeeded")
    (found,) = wait_for(lambda: running.ask(*listed)["items"])
    shown = running.ask("invocations", "show", found["id"])
    assert [firing["trigger_name"] for firing in shown["firings"]] == ["one", "two"]
    assert "Because of one." in shown["context"]
    assert "Because of two." in shown["reply"]

    with agent_server() as near:  # on this machine, which nobody else can reach
        agent = running.ask("agents", "create", "near", "--agent-url", near.url, "--window", "0s")
        running.ask("triggers", "add", "near", "--type", "webhook", "--name", "bell", "--reason", "It rang.")
        running.ask("triggers", "fire", "near/bell")
        wait_for(
            lambda: running.ask("invocations", "list", "--agent", agent["id"], "--state", "succeeded")["items"]
        )
        assert len(near.runs) == 1

    done = subprocess.run(command("doctor"), env=running.variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"ok"}

    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0


def read(stream: IO[str] | None, lines: list[str]) -> None:
    assert stream is not None
    for line in stream:
        lines.append(line.rstrip("\n"))  # noqa: PERF401  # seen while more is read


def wait_for(look: Any) -> Any:
    """Returns what `look` finds, once it finds something."""
    deadline = time.monotonic() + START_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return found
