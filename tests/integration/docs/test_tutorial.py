"""Follows the tutorial as a reader would: `reveille run`, its agent, its commands, a signed wake."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

import pytest

from tests.acceptance.tools import command, environment
from tests.support.postgres import Databases
from tests.support.web import ROOT, SECRET_KEY, free_port

PAGE = (ROOT / "docs/tutorial/first-agent.md").read_text(encoding="utf-8")
START, EXPORTS, CREATE, SERVE, STRANGER, ADD, WAKE, LIST = re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
(AGENT,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
PATIENCE_SECONDS = 60.0


@dataclass
class Reader:
    """A reader with a terminal, whose Reveille and agent have their own ports."""

    port: int
    agent_port: int
    exports: str = ""

    def own(self, text: str) -> str:
        """Returns the page's text with the reader's ports."""
        return text.replace(":8080", f":{self.port}").replace("9000", str(self.agent_port))

    def type(self, text: str) -> str:
        """Returns the output of the commands; each must succeed."""
        lines = ["set -euo pipefail", self.exports, self.own(text)]
        done = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


class Console:
    """The lines that a process prints, as they arrive."""

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream is not None
        self.lines: list[str] = []
        Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.lines.append(line.rstrip("\n"))  # seen while more is read

    def line_with(self, words: str) -> str:
        """Returns the first line that contains `words`; waits for it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if found := [line for line in list(self.lines) if words in line]:
                return found[0]
            time.sleep(0.05)
        raise AssertionError("\n".join(self.lines))


@pytest.fixture
def reader(databases: Databases) -> Iterator[Reader]:
    """A reader who has typed the first two blocks; `make run` is `reveille run`, on the tests' PostgreSQL."""
    url = databases.create()
    one = Reader(free_port(), free_port())
    words = one.own(START).split()
    variables = dict(each.split("=") for each in words if "=" in each)
    assert words[len(variables) :] == ["make", "run"]
    variables |= {"DATABASE_URL": url, "REVEILLE_SECRET_KEY": SECRET_KEY, "PORT": str(one.port)}
    with subprocess.Popen(
        command("run"),
        env=environment(**variables),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            console = Console(process.stdout)
            key = console.line_with("Admin key, shown this once: ").rpartition(" ")[2]
            console.line_with("Reveille listens on")
            one.exports = one.own(EXPORTS.replace("rvl_…", key))
            yield one
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    databases.drop(url)


def test_an_agent_is_written_and_woken_once_by_a_signed_call(reader: Reader, tmp_path: Path) -> None:
    (secret,) = re.findall(r"whsec_[^\"]+", reader.type(CREATE))
    program = tmp_path / "agent.py"
    program.write_text(reader.own(AGENT), encoding="utf-8")
    serve = SERVE.replace("whsec_…", secret).replace("agent.py &", f"{program}")
    with subprocess.Popen(
        ["bash", "-c", f"exec env {serve}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as agent:
        try:
            console = Console(agent.stdout)
            refused = reader.type(STRANGER.replace("curl ", "curl --silent --retry-connrefused --retry 20 "))
            assert refused in PAGE
            (hook,) = re.findall(r"http\S+/hooks/\S+", reader.type(ADD))
            reader.type(WAKE.replace("http://127.0.0.1:8080/hooks/…", hook))
            console.line_with('"POST /wake HTTP/1.1" 200')
        finally:
            agent.kill()
    printed = "\n".join(console.lines)
    assert printed.count("===== Wake context =====") == 1
    assert [said in printed for said in ("the parcel is here", "it rains", "Reason: Say good morning.")] == [
        True
    ] * 3
    (invocation,) = json.loads(reader.type(LIST.strip() + " --json"))["items"]
    assert (invocation["state"], invocation["firing_count"]) == ("succeeded", 3)
