"""Runs docs/api.md as a reader would, over real HTTP, and compares it with the application."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from subprocess import run

import pytest

from tests.support.api import Api, agent_body, served

DOCUMENT = (Path(__file__).parents[3] / "docs/api.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Returns the first code block in `language`."""
    return str(re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)[0])


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour is made of curl calls")
def test_the_tour_works_line_by_line(api: Api) -> None:
    """Every call succeeds, with the result that the text describes."""
    with served(api) as address:
        settings = f"set -euo pipefail\nexport REVEILLE_URL={address} REVEILLE_API_KEY={api.key}\n"
        # this service is not local, so it refuses an agent on loopback
        tour = block("sh").replace("http://127.0.0.1:9010", "https://agent.example.org")
        command = ["bash", "-c", settings + tour]
        done = run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (invocation,) = api.get("/invocations")["items"]
    assert invocation["firing_count"] == 2
    cron = next(trigger for trigger in api.get("/triggers")["items"] if trigger["type"] == "cron")
    assert (cron["config"], cron["timezone"], cron["is_enabled"]) == (
        {"expr": "30 8 * * mon-fri"},
        "Europe/Berlin",
        True,
    )


def test_the_example_of_a_problem_is_one(api: Api) -> None:
    """Word for word, except for the nearest names."""
    shown = json.loads(block("json"))
    problem = api.refused(422, "POST", "/agents", agent_body(timezone="Europe/Berlni", colour="red"))
    assert set(problem) == set(shown)
    assert {name: problem[name] for name in ("type", "title", "status", "field")} == {
        name: shown[name] for name in ("type", "title", "status", "field")
    }
    for said, written in zip(problem["errors"], shown["errors"], strict=True):
        assert (said["field"], said["rule"]) == (written["field"], written["rule"])
        assert said["message"].startswith(written["message"].rstrip("?"))


def test_every_metric_is_explained(api: Api) -> None:
    """Those that exist, and no others."""
    shown = set(re.findall(r"^# TYPE (\w+)", api.call("GET", "//metrics").text, re.MULTILINE))
    document = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(reveille_\w+)", document))
    assert shown <= explained
    assert explained - shown == {  # shown once there is something to show
        "reveille_canary_duration_seconds",
        "reveille_disk_free_bytes",
        "reveille_lateness_seconds",
        "reveille_last_pass_age_seconds",
        "reveille_worker_heartbeat_age_seconds",
    }
