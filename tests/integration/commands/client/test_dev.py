"""The starter file, and wakes shown as they come."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx
import pytest

from scheduler.commands import dev
from scheduler.commands.exits import ExitCode
from tests.acceptance.tools import command, environment
from tests.support.postgres import Databases
from tests.support.shell import Service, Shell, running_service

WAKE = {
    "invocation_id": "019f",
    "attempt": 1,
    "agent": {"id": "1", "name": "ada"},
    "context": "The whole context.",
    "firings": [
        {
            "trigger": {"name": "push", "type": "webhook", "reason": "Somebody rang.", "focus_ref": None},
            "fired_at": "2030-01-01T00:00:00Z",
            "first_scheduled_for": None,
            "scheduled_for": None,
            "slot_count": 1,
            "payload": '{"a": [1]}',
            "payload_base64": None,
            "data": None,
        }
    ],
}


@pytest.fixture(scope="module")
def service(databases: Databases) -> Iterator[Service]:
    """One that lets agents live on this machine."""
    url = databases.create()
    with running_service(url, REVEILLE_HOST="127.0.0.1") as running:
        yield running
    databases.drop(url)


def test_a_starter_file_is_written_once_and_can_be_applied(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "reveille apply -f reveille.yaml" in shell("init")
    assert shell("apply", "-f", "reveille.yaml").endswith("3 created, 0 unchanged.\n")
    written = (tmp_path / "reveille.yaml").read_text()
    shell("init", code=ExitCode.USAGE)
    assert "is not overwritten" in shell.err
    shell("init", "nowhere/reveille.yaml", code=ExitCode.FAILED)
    assert (tmp_path / "reveille.yaml").read_text() == written


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_dev_makes_agents_and_leaves_none_behind(
    service: Service, shell: Shell, tmp_path: Path, stop: int
) -> None:
    before = shell.json("agents", "list")["items"]
    (tmp_path / "a.yaml").write_text(
        "agents:\n- name: ada\n  runtime: {kind: llm, model: none}\n  triggers: [{name: t, type: interval}]\n"
        "  targets: [{name: ops, kind: slack, url: https://s.example}]\n"
        "- name: bob\n  runtime: {kind: command, name: echo}\n"
        "  triggers: [{name: m, type: on_message, config: {from_agent: ada}}]\n"
    )
    variables = environment(REVEILLE_URL=service.url, REVEILLE_API_KEY=service.key)
    arguments = [*command("dev"), "-f", str(tmp_path / "a.yaml")]
    with subprocess.Popen(arguments, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not (lines and lines[-1].startswith("Waiting")):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        made = [each for each in shell.json("agents", "list")["items"] if each not in before]
        assert sorted(each["name"].split(" dev-")[0] for each in made) == ["ada", "bob"]
        assert all(each["expires_at"] and each["runtime"]["url"].startswith("http://127.0.0.1:") for each in made)
        assert shell.json("targets", "list", made[0]["id"])["items"] == []
        process.send_signal(stop)
        process.wait(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert shell.json("agents", "list")["items"] == before


def test_each_webhook_is_told_with_a_command_that_wakes(service: Service, shell: Shell, tmp_path: Path) -> None:
    """A call of the address for one without a signature, a fire for one with."""
    (tmp_path / "a.yaml").write_text(
        "agents:\n- name: ada\n  runtime: {kind: llm, model: none}\n  triggers:\n"
        "  - {name: plain, type: webhook}\n"
        "  - {name: it's signed, type: webhook, config: {signature: {scheme: github, secret: {env: HUSH}}}}\n"
    )
    variables = environment(REVEILLE_URL=service.url, REVEILLE_API_KEY=service.key, HUSH="hush")
    arguments = [*command("dev"), "-f", str(tmp_path / "a.yaml")]
    with subprocess.Popen(arguments, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told: dict[str, list[str]] = {}
        while not (line := process.stdout.readline()).startswith("Waiting"):
            assert line
            name, found, call = line.partition(":  ")
            if found:
                told[name.rpartition("/")[2]] = shlex.split(call)
        assert httpx.post(told["plain"][-1], content="hello", trust_env=False).status_code == 202
        reveille, *words = told["it's signed"]
        assert reveille == "reveille"
        assert shell(*words).startswith("Fired: ")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def test_a_wake_is_answered_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    wakes: SimpleQueue[Any] = SimpleQueue()
    with dev._listening(0, wakes) as url, httpx.Client(trust_env=False) as client:
        assert client.post(url, json=WAKE).json() == dev.REPLY
        assert client.post(url.rsplit("/", 1)[0] + "/guessed", json=WAKE).status_code == 404
    assert wakes.qsize() == 1
    dev._print(wakes.get())
    said = capsys.readouterr().out
    assert "ada is woken by 1 firing" in said
    assert json.dumps({"a": [1]}, indent=2) in said
    assert "Somebody rang." in said
    assert said.rstrip().endswith("The whole context.")
