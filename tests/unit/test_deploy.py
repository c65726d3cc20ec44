"""The deployment files name commands, settings, paths and health checks that exist."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import known_names
from tests.support.web import ROOT

DEPLOY = ROOT / "deploy"
SERVICES = sorted((DEPLOY / "systemd").glob("*.service"))
COMMANDS = {
    ("web",),
    ("worker",),
    ("migrate",),
    ("worker", "--role", "scheduler"),
    ("worker", "--role", "invoker"),
}


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/reveille.yaml").read_text(encoding="utf-8")))


def compose() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return made


def containers() -> list[dict[str, Any]]:
    return [
        (container | {"pod": document["spec"]["template"]["spec"]})
        for document in documents()
        if document["kind"] in ("Deployment", "Job")
        for container in document["spec"]["template"]["spec"]["containers"]
    ]


def test_every_setting_that_is_named_is_one() -> None:
    files = [*DEPLOY.rglob("*"), ROOT / "app.json"]
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in files if path.is_file() and "secrets" not in path.parts
    )
    names = set(re.findall(r"\b(?:REVEILLE_\w+|DATABASE_URL(?:_FILE)?)\b", text))
    assert len(names) > 8
    assert names <= known_names()


def test_every_command_that_is_started_is_one() -> None:
    started = {tuple(each["args"]) for each in containers()}
    started |= {tuple(each["command"]) for each in compose()["services"].values() if "command" in each}
    for path in SERVICES:
        (line,) = re.findall(r"^ExecStart=/opt/reveille/bin/reveille (.+)$", path.read_text(), re.MULTILINE)
        started.add(tuple(line.split()))
    assert started == COMMANDS


def test_pods_are_closed_and_have_time_to_stop() -> None:
    for each in containers():
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert each["pod"]["securityContext"]["runAsNonRoot"]
        if each["args"] != ["migrate"]:
            assert each["pod"]["terminationGracePeriodSeconds"] > 25
    budgets = {each["metadata"]["name"] for each in documents() if each["kind"] == "PodDisruptionBudget"}
    assert budgets == {each["metadata"]["name"] for each in documents() if each["kind"] == "Deployment"}


def test_the_image_holds_what_a_wheel_needs_and_runs_as_nobody() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "--require-hashes" in text
    for path in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE):
        for part in path.split():
            assert (ROOT / part).exists(), part


def test_compose_reads_the_secrets_that_are_made(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "make-secrets", tmp_path)
    for _ in range(2):
        subprocess.run([tmp_path / "make-secrets"], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == set(compose()["secrets"])
    assert made["postgres_password"] in made["database_url"]
    assert len(made["secret_key"]) >= 32
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed here")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", DEPLOY / "Dockerfile"], check=True, timeout=280)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed here")
def test_compose_is_understood(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([tmp_path / "deploy/make-secrets"], check=True, capture_output=True)
    file = tmp_path / "deploy/compose.yaml"
    subprocess.run(["docker-compose", "-f", file, "config", "-q"], check=True, timeout=280)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_the_units_are_understood_by_systemd() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", *SERVICES], capture_output=True, text=True, check=False, timeout=280
    )
    ours = [line for line in done.stderr.splitlines() if "reveille" in line]
    assert [line for line in ours if "is not executable" not in line] == []  # it is not installed anywhere here


def test_the_heroku_button_makes_what_the_procfile_starts() -> None:
    app = json.loads((ROOT / "app.json").read_text(encoding="utf-8"))
    started = {line.partition(":")[0] for line in (ROOT / "Procfile").read_text().splitlines()}
    assert set(app["formation"]) <= started
    assert app["addons"]


def metrics_of(text: str) -> set[str]:
    """The metrics that expressions name, without the endings of histograms."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\breveille_\w+", text)}


def test_dashboard_and_alert_rules_name_metrics_that_exist() -> None:
    explained = set(re.findall(r"`(reveille_\w+)", (ROOT / "docs/metrics.md").read_text(encoding="utf-8")))
    dashboard = json.loads((DEPLOY / "grafana/reveille.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((DEPLOY / "prometheus/reveille.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert all(metrics_of(expression) <= explained for expression in asked)
    assert all(metrics_of(rule["expr"]) <= explained for rule in rules)
    assert explained - metrics_of(" ".join(asked)) < explained


def test_promtool_accepts_the_alert_rules() -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    command = [program, "check", "rules", str(DEPLOY / "prometheus/reveille.yaml")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
