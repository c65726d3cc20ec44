"""The example package, installed beside the product, in real processes: API, web form, command and agents' tools."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.agent_server import agent_server
from tests.acceptance.fleet import ADMIN_KEY, Fleet, fleet
from tests.acceptance.test_polls import eventually

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/file-trigger"
TELL = """
from scheduler.toolbox.triggers import SET_TRIGGER, SetTrigger
print(SET_TRIGGER, SetTrigger.model_fields["type"])
"""


def install(site: Path) -> None:
    """Put the package's module and its entry points where Python looks for packages."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0.0\n")
    points = project["entry-points"]["reveille.triggers"]
    lines = "\n".join(f"{name} = {value}" for name, value in points.items())
    info.joinpath("entry_points.txt").write_text(f"[reveille.triggers]\n{lines}\n")
    for module in EXAMPLE.glob("*.py"):
        (site / module.name).write_text(module.read_text())


def run(one: Fleet, *arguments: str) -> str:
    """What a program prints that has the package and the service's address."""
    environment = {"REVEILLE_URL": one.url, "REVEILLE_API_KEY": ADMIN_KEY, **one.environment}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fill_in(one: Fleet, agent_id: str) -> str:
    """Make a trigger by the web form; where the browser is sent."""
    with httpx.Client(base_url=one.url, follow_redirects=True, timeout=30) as web:
        web.post("/sign-in", data={"key": ADMIN_KEY, "csrf": token(web.get("/sign-in").text)}).raise_for_status()
        assert "When files come or change" in web.get("/triggers/new", params={"agent_id": agent_id}).text
        form = web.get("/triggers/new", params={"agent_id": agent_id, "type": "file"}).text
        assert 'name="config.directory"' in form
        assert 'name="config.files"' in form
        data = {"type": "file", "agent_id": agent_id, "name": "by form", "csrf": token(form)}
        told = {"config.directory": "orders", "config.files": "*.txt"} | data
        return str(web.post("/triggers/new", data=told).url)


def ask_tool(one: Fleet, key: str, tool: str, **arguments: object) -> dict[str, Any]:
    """What a tool of an agent gives, called at /mcp by the agent's key."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"}
    result = httpx.post(f"{one.url}/mcp", json=call, headers=headers, timeout=30).json()["result"]
    assert not result.get("isError"), result
    return dict(result["structuredContent"])


def token(page: str) -> str:
    """The token of the forms of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


def test_a_kind_of_an_installed_package_works_like_one_of_ours(database_url: str, tmp_path: Path) -> None:
    site, inbox = tmp_path / "site", tmp_path / "inbox"
    (inbox / "orders").mkdir(parents=True)
    (inbox / "orders/old.csv").write_text("1")
    install(site)
    variables = {
        "PYTHONPATH": f"{site}:{ROOT}",
        "FILE_TRIGGER_ROOT": str(inbox),
        "REVEILLE_ALLOW_PRIVATE_HOSTS": "127.0.0.1",
    }
    with agent_server() as agents, fleet(database_url, tmp_path, **variables) as one:
        one.migrate()
        one.start("web")
        one.start("worker")
        one.wait_ready()
        told = run(one, "-c", TELL)
        assert (
            '- file: {"interval_seconds"?: 60.0, "directory": "orders", "files"?: "*.csv"}: when files come'
            in told
        )
        assert "or file." in told
        with one.api() as api:
            runtime = {"kind": "http", "url": agents.url}
            agent_id = api.post(
                "/agents", json={"name": "ada", "runtime": runtime, "dedup_delay_seconds": 0}
            ).json()["id"]
            (kind,) = [each for each in api.get("/trigger-types").json()["items"] if each["type"] == "file"]
            assert "directory" in kind["config_schema"]["properties"]
            body = {"name": "x", "type": "file", "config": {"directory": "../.."}}
            refused = api.post(f"/agents/{agent_id}/triggers", json=body)
            assert (refused.status_code, refused.json()["field"]) == (422, "config.directory")
            options = ["--name", "by command", "--directory", "orders", "--files", "*.csv", "--every", "1s"]
            made = json.loads(run(one, "-m", "scheduler.cli", "triggers", "add", "ada", *options, "--json"))
            assert (made["type"], made["config"]["files"]) == ("file", "*.csv")
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
            assert "/triggers/" in fill_in(one, agent_id)
            key = api.post("/api-keys", json={"name": "ada", "scopes": [f"agent:{agent_id}"]}).json()["key"]
            asked = {"name": "by tool", "type": "file", "config": {"directory": "orders"}, "reason": "Look."}
            assert ask_tool(one, key, "set_trigger", **asked)["is_enabled"]
            names = {each["name"] for each in api.get(f"/agents/{agent_id}/triggers").json()["items"]}
            assert names == {"by command", "by form", "by tool"}
