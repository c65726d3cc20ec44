"""The example packages, installed beside the product, in real processes: API, web form, command and agents' tools."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.agent_server import AgentServer, agent_server
from tests.acceptance.fleet import ADMIN_KEY, Fleet, fleet
from tests.acceptance.test_polls import eventually
from tests.support.postgres import Databases

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = (ROOT / "examples/file-trigger", ROOT / "examples/echo-runtime")
TELL = """
from scheduler.toolbox.triggers import SET_TRIGGER, SetTrigger
print(SET_TRIGGER, SetTrigger.model_fields["type"])
"""


def install(site: Path, example: Path) -> None:
    """Puts the package's module and its entry points where Python looks for packages."""
    project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0.0\n")
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    info.joinpath("entry_points.txt").write_text("\n".join(lines) + "\n")
    for module in example.glob("*.py"):
        (site / module.name).write_text(module.read_text())


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentServer]:
    """Creates an agent for all of them."""
    with agent_server() as running:
        yield running


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory below which files may be watched."""
    return tmp_path_factory.mktemp("inbox")


@pytest.fixture(scope="module")
def installed(databases: Databases, inbox: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Runs a service that has both packages."""
    url, site = databases.create(), tmp_path_factory.mktemp("site")
    for example in EXAMPLES:
        install(site, example)
    variables = {
        "PYTHONPATH": f"{site}:{ROOT}",
        "FILE_TRIGGER_ROOT": str(inbox),
        "REVEILLE_ALLOW_PRIVATE_HOSTS": "127.0.0.1",
    }
    with fleet(url, tmp_path_factory.mktemp("fleet"), **variables) as one:
        one.migrate()
        one.start("web")
        one.start("worker")
        one.wait_ready()
        yield one
    databases.drop(url)


@contextmanager
def signed_in(one: Fleet) -> Iterator[httpx.Client]:
    """Returns a browser without scripts."""
    with httpx.Client(base_url=one.url, follow_redirects=True, timeout=30) as web:
        web.post("/sign-in", data={"key": ADMIN_KEY, "csrf": token(web.get("/sign-in").text)}).raise_for_status()
        yield web


def run(one: Fleet, *arguments: str) -> str:
    """Returns the output of a program that has the package and the service's address."""
    environment = {"REVEILLE_URL": one.url, "REVEILLE_API_KEY": ADMIN_KEY, **one.environment}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fill_in(one: Fleet, agent_id: str) -> str:
    """Creates a trigger with the web form; returns the browser's new address."""
    with signed_in(one) as web:
        assert "When files come or change" in web.get("/triggers/new", params={"agent_id": agent_id}).text
        form = web.get("/triggers/new", params={"agent_id": agent_id, "type": "folder"}).text
        assert 'name="config.directory"' in form
        assert 'name="config.files"' in form
        data = {"type": "folder", "agent_id": agent_id, "name": "by form", "csrf": token(form)}
        told = {"config.directory": "orders", "config.files": "*.txt"} | data
        return str(web.post("/triggers/new", data=told).url)


def ask_tool(one: Fleet, key: str, tool: str, **arguments: object) -> dict[str, Any]:
    """Returns the result of an agent's tool, called at /mcp with the agent's key."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"}
    result = httpx.post(f"{one.url}/mcp", json=call, headers=headers, timeout=30).json()["result"]
    assert not result.get("isError"), result
    return dict(result["structuredContent"])


def token(page: str) -> str:
    """Returns the token of a page's forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


def test_a_kind_of_an_installed_package_works_like_one_of_ours(
    installed: Fleet, agents: AgentServer, inbox: Path
) -> None:
    (inbox / "orders").mkdir()
    (inbox / "orders/old.csv").write_text("1")
    told = run(installed, "-c", TELL)
    assert (
        '- folder: {"interval_seconds"?: 60.0, "directory": "orders", "files"?: "*.csv"}: when files come' in told
    )
    assert "or folder." in told
    with installed.api() as api:
        runtime = {"kind": "http", "url": agents.url}
        agent_id = api.post("/agents", json={"name": "ada", "runtime": runtime, "dedup_delay_seconds": 0}).json()[
            "id"
        ]
        (kind,) = [each for each in api.get("/trigger-types").json()["items"] if each["type"] == "folder"]
        assert "directory" in kind["config_schema"]["properties"]
        body = {"name": "x", "type": "folder", "config": {"directory": "../.."}}
        refused = api.post(f"/agents/{agent_id}/triggers", json=body)
        assert (refused.status_code, refused.json()["field"]) == (422, "config.directory")
        options = ["--name", "by command", "--directory", "orders", "--files", "*.csv", "--every", "1s"]
        made = json.loads(run(installed, "-m", "scheduler.cli", "triggers", "add", "ada", *options, "--json"))
        assert (made["type"], made["config"]["files"]) == ("folder", "*.csv")
        path = f"/triggers/{made['id']}/poll"
        eventually(lambda: api.get(path).json()["is_seen"])
        (inbox / "orders/new.csv").write_text("four")
        eventually(lambda: agents.runs)
        (firing,) = api.get("/firings", params={"trigger_id": made["id"]}).json()["items"]
        whole = api.get(f"/firings/{firing['id']}").json()
        assert whole["data"] == {"files": [{"name": "new.csv", "size": 4}]}
        assert "New or changed files:" in agents.runs[0].body["context"]
        (inbox / "orders").rename(inbox / "away")
        eventually(lambda: api.get(path).json()["failures"])
        (inbox / "away").rename(inbox / "orders")
        api.post(f"/triggers/{made['id']}/pause").raise_for_status()
        api.post(f"/triggers/{made['id']}/resume").raise_for_status()
        eventually(lambda: api.get(path).json()["failures"] == 0)
        audit = api.get("/audit", params={"subject_id": made["id"]}).json()["items"]
        assert {"trigger.look_failed", "trigger.look_recovered"} <= {each["action"] for each in audit}
        assert "/triggers/" in fill_in(installed, agent_id)
        key = api.post("/api-keys", json={"name": "ada", "scopes": [f"agent:{agent_id}"]}).json()["key"]
        asked = {"name": "by tool", "type": "folder", "config": {"directory": "orders"}, "reason": "Look."}
        assert ask_tool(installed, key, "set_trigger", **asked)["is_enabled"]
        names = {each["name"] for each in api.get(f"/agents/{agent_id}/triggers").json()["items"]}
        assert names == {"by command", "by form", "by tool"}


def test_a_runtime_of_an_installed_package_works_like_one_of_ours(installed: Fleet) -> None:
    with installed.api() as api, signed_in(installed) as web:
        refused = api.post("/agents", json={"name": "x", "runtime": {"kind": "echo", "greeting": "HI"}})
        assert (refused.status_code, refused.json()["field"]) == (422, "runtime.greeting")
        refused = api.post(
            "/agents", json={"name": "x", "runtime": {"kind": "echo", "greeting": "Hi", "times": 10}}
        )
        assert (refused.status_code, refused.json()["field"]) == (422, "runtime.times")

        form = web.get("/agents/new", params={"kind": "echo"}).text
        assert all(f'name="{name}"' in form for name in ("greeting", "times", "word"))
        asked = {"kind": "echo", "name": "by form", "csrf": token(form), "dedup_delay_seconds": "0"}
        wrong = web.post("/agents/new", data=asked | {"greeting": "HI", "word": "hush"})
        assert wrong.status_code == 422
        assert 'id="e-greeting"' in wrong.text
        assert "hush" not in wrong.text
        made = web.post("/agents/new", data=asked | {"greeting": "Hi", "times": "2", "word": "hush"})
        assert "/agents/" in str(made.url), made.text
        (agent,) = [each for each in api.get("/agents").json()["items"] if each["name"] == "by form"]
        assert agent["runtime"] == {"kind": "echo", "greeting": "Hi", "times": 2}

        edit = web.get(f"/agents/{agent['id']}/edit").text
        assert "hush" not in edit
        changed = asked | {"greeting": "Good day", "times": "2", "word": "", "csrf": token(edit)}
        assert "Saved." in web.post(f"/agents/{agent['id']}/edit", data=changed).text

        woken = api.post(f"/agents/{agent['id']}/wake", json={"message": "hello"}).json()
        path = f"/invocations/{woken['invocation_id']}"
        eventually(lambda: api.get(path).json()["state"] == "succeeded")
        said, _, signature = api.get(path).json()["reply"].rpartition(" ")
        assert said.startswith("Good day, ")
        assert said.count("Good day, ") == 2
        assert signature == hmac.new(b"hush", said.encode(), hashlib.sha256).hexdigest(), "the word has stayed"

        options = ["--greeting", "Hello", "--word", "hush", "--json"]
        made = json.loads(run(installed, "-m", "scheduler.cli", "agents", "create", "by command", *options))
        assert made["runtime"] == {"kind": "echo", "greeting": "Hello", "times": 1}
        card = httpx.get(
            f"{installed.url}/a2a/{made['id']}/.well-known/agent-card.json",
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
        )
        assert card.json()["skills"][0]["tags"] == ["wake", "echo"]
