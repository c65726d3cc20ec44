"""Runs the commands and calls that the README and the pages show, against a running service."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import pytest

from scheduler.commands.exits import ExitCode
from tests.support.database import change
from tests.support.postgres import Databases
from tests.support.shell import Service, Shell, running_service
from tests.support.web import ROOT

SHOWN = re.compile(
    r"^(?:\$ )?(?:\w+=\$\()?(?:curl|post|api|reveille|\.venv/bin/reveille|echo '.*'.*) ", re.MULTILINE
)
SNIPPETS = (
    "triggers/interval.md",
    "triggers/once.md",
    "triggers/poll.md",
    "triggers/webhook.md",
    "channels.md",
    "misfire.md",
    "budgets.md",
    "notifications.md",
    "mcp.md",
    "presets/README.md",
)
"""Pages whose blocks this module runs, in one shell each."""
RUN_BY: dict[str, tuple[str, ...]] = {
    "tests/integration/commands/client/test_doc_commands.py": ("README.md", "cli.md", "network.md", *SNIPPETS),
    "tests/integration/commands/client/test_definitions.py": ("definitions.md", "simulator.md"),
    "tests/integration/docs/test_api_docs.py": ("api.md",),
    "tests/integration/docs/test_message_docs.py": (
        "triggers/on_message.md",
        "triggers/heartbeat.md",
        "follow-ups.md",
    ),
    "tests/integration/docs/test_signature_docs.py": ("triggers/webhook-signatures.md",),
    "tests/integration/docs/test_operations_docs.py": ("operations.md",),
    "tests/integration/docs/test_tutorial.py": ("tutorial/first-agent.md",),
}
NOT_RUN = {
    "alerts.md": "changes a trigger and an agent of the reader's; tests/integration/api/test_api_alerts.py does so",
    "coding-agents.md": "runs tools of others; tests/integration/runtimes/test_coding_agents.py has a stand-in",
    "presets/README.md": "makes an agent behind a server of the reader's; `make external` has real ones",
    "runtimes.md": "ends an invocation of the reader's own; tests/integration/invocations/test_complete.py does so",
    "web.md": "asks at a terminal; tests/integration/web/test_web_users.py does so",
}


def page(name: str) -> str:
    return (ROOT / (name if name == "README.md" else f"docs/{name}")).read_text(encoding="utf-8")


def blocks(name: str, language: str = r"\w*") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page(name), re.MULTILINE | re.DOTALL)


def bash(script: str, **variables: str) -> str:
    """Returns the output; every line must succeed."""
    reveille = f'reveille() {{ "{sys.executable}" -m scheduler.cli "$@"; }}'
    tour = blocks("api.md", "sh")[0].splitlines()
    lines = ["set -euo pipefail", reveille, *(line for line in tour if "() {" in line), script]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", **variables}
    done = run(["bash", "-c", "\n".join(lines)], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_every_page_that_shows_commands_is_run_or_says_why_not() -> None:
    showing = {
        str(path.relative_to(ROOT / "docs")) if path.is_relative_to(ROOT / "docs") else path.name
        for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
        if any(SHOWN.search(block) for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.M | re.S))
    }
    assert showing <= {name for names in RUN_BY.values() for name in names} | set(NOT_RUN)
    for file in RUN_BY:
        assert (ROOT / file).exists(), file


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are made of curl calls")
@pytest.mark.parametrize("name", SNIPPETS)
def test_the_calls_of_a_page_succeed(shell: Shell, service: Service, agent: str, name: str) -> None:
    agent_id = shell.json("agents", "show", agent)["id"]
    trigger = shell.json("triggers", "add", agent, "--every", "1h")["id"]
    hook = shell.json("triggers", "add", agent, "--type", "webhook", "--name", "hook")["hook_url"]
    variables = {"AGENT": agent_id, "TRIGGER": trigger, "HOOK_URL": hook}
    script = "\n".join(blocks(name, "(?:sh|bash)")).replace("…", "key")
    bash(script, REVEILLE_URL=service.url, REVEILLE_API_KEY=service.key, **variables)


def test_the_tour_of_the_console_client_succeeds(
    shell: Shell, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line by line, with an invocation's and a firing's id inserted where the page leaves them out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text("hush\n", encoding="utf-8")
    (tmp_path / "slack-webhook-url.txt").write_text("https://nowhere.invalid/\n", encoding="utf-8")
    (tour,) = (block for block in blocks("cli.md", "") if "agents create night-watch" in block)
    commands = [line for line in tour.splitlines() if line.startswith("reveille ")]
    assert len(commands) > 10
    for line in commands:
        words = shlex.split(line)[1:]
        if words[0] == "firings":
            shell("triggers", "fire", "night-watch/interval 20s")
        if words[0] == "ack":
            change(service.db, "UPDATE firings SET state = 'delivered'")
        if words[:2] == ["targets", "test"]:  # nowhere.invalid cannot be reached
            (target,) = shell.json("targets", "list", "night-watch")["items"]
            shell("targets", "test", target["id"], code=ExitCode.FAILED)
            continue
        if "019f…" in words:
            (firing,) = shell.json("firings", "--agent", "night-watch")["items"]
            words[words.index("019f…")] = firing["id" if words[0] == "ack" else "invocation_id"]
        shell(*words)


@pytest.mark.parametrize("name", ["README.md", "cli.md", "network.md"])
def test_the_tools_answer_as_the_page_shows(name: str) -> None:
    """The line after `$ echo '…' | reveille TOOL` is its answer; `…` stands for what the page leaves out."""
    shown = [block for block in blocks(name) if block.startswith("$ echo")]
    assert shown
    for block in shown:
        command, _, answer = block.replace(".venv/bin/reveille", "reveille").partition("\n{")
        said = json.loads(bash(command.removeprefix("$ ")))
        written = json.loads("{" + answer.replace("\n", " "))
        assert said.keys() == written.keys()
        assert similar(said, written), said


def similar(said: object, written: object) -> bool:
    """Whether an answer matches the written one, as far as that goes."""
    if isinstance(said, dict) and isinstance(written, dict):
        return said.keys() == written.keys() and all(similar(said[key], written[key]) for key in said)
    if isinstance(said, list) and isinstance(written, list):
        return len(said) == len(written) and all(map(similar, said, written))
    if isinstance(said, str) and isinstance(written, str) and written.endswith("…"):
        return said.startswith(written.removesuffix("…"))
    return said == written


@pytest.fixture
def own_service(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service that listens like `make run`, in the shell's environment."""
    url = databases.create()
    with running_service(url, REVEILLE_HOST="127.0.0.1") as running:
        monkeypatch.setenv("REVEILLE_URL", running.url)
        monkeypatch.setenv("REVEILLE_API_KEY", running.key)
        yield running
    databases.drop(url)


@pytest.mark.usefixtures("own_service")
def test_the_commands_of_the_readme_succeed_one_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    """With a new agent and invocation instead of the demo's."""
    shell = Shell(capsys)
    shell("agents", "create", "demo", "--command", "echo")
    shell("triggers", "add", "demo", "--every", "1h", "--name", "tick")
    shell("triggers", "fire", "demo/tick")
    (invocation,) = shell.json("invocations", "list")["items"]
    lines = re.findall(r"^\$ \.venv/bin/reveille (.+)$", page("README.md"), re.MULTILINE)
    assert {"triggers list", "invocations list"} < set(lines)
    for line in lines:
        shell(
            *(invocation["id"] if re.fullmatch(r"[0-9a-f-]{8,36}", word) else word for word in shlex.split(line))
        )
    assert [agent["name"] for agent in shell.json("agents", "list")["items"]] == ["bell", "demo"]
