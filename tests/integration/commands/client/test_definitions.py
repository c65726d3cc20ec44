"""Definitions as code from a shell: what is told, with its place, and the exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from scheduler.commands.definition_schema import definition_schema
from scheduler.commands.definitions import DIFFERENT
from scheduler.commands.exits import ExitCode
from scheduler.definitions.yaml_text import read_yaml
from tests.integration.commands.client.test_doc_commands import bash, blocks
from tests.support.shell import Service, Shell

CHANGED = ExitCode(DIFFERENT)


@pytest.fixture
def file(tmp_path: Path, name: str) -> Path:
    """A file with an agent and its trigger."""
    path = tmp_path / "a.yaml"
    path.write_text(
        f"agents:\n- name: {name}\n  runtime: {{kind: command, name: echo}}\n"
        f'  triggers:\n  - name: t\n    type: cron\n    config: {{expr: "0 5 * * *"}}\n'
    )
    return path


def test_a_file_is_applied_shown_and_applied_again(shell: Shell, file: Path, name: str) -> None:
    dry = shell("apply", "-f", str(file), "--dry-run", "--set", name, code=CHANGED)
    assert f"+ trigger {name}/t" in dry
    assert '    + config.expr: "0 5 * * *"' in dry
    assert "cooldown" not in dry
    assert dry.endswith("2 to create, 0 unchanged.\n")
    assert shell("apply", "-f", str(file), "--set", name).endswith("2 created, 0 unchanged.\n")
    assert shell("apply", "-f", str(file), "--dry-run", "--set", name) == "2 unchanged.\n"
    file.write_text(file.read_text().replace("0 5", "0 6"))
    changed = shell("apply", "-f", str(file), "--dry-run", "--set", name, code=CHANGED)
    assert '    - config.expr: "0 5 * * *"\n    + config.expr: "0 6 * * *"\n' in changed
    file.write_text("# a failed export\n")
    shell("apply", "-f", str(file), "--prune", "--set", name, code=ExitCode.USAGE)
    assert "write 'agents: []'" in shell.err
    file.write_text("agents:\n")
    assert f"- agent {name}" in shell("apply", "-f", str(file), "--prune", "--set", name)


def test_errors_are_told_with_file_and_line_all_at_once(shell: Shell, file: Path, name: str) -> None:
    text = file.read_text().replace("0 5 *", "0 25 *")
    file.write_text(f"{text}- name: {name}\n  runtime: {{kind: command, name: echo}}\n  nmae: x\n")
    shell("apply", "-f", str(file), code=ExitCode.USAGE)
    assert shell.err.startswith(f"{file}:10:9: nmae: ")
    file.write_text(file.read_text().replace("  nmae: x\n", ""))
    shell("apply", "-f", str(file), code=ExitCode.USAGE)
    lines = shell.err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{file}:8:9", f"{file}:7:20", "reveille"]
    assert f"{file}:2:9 has the same name" in lines[0]
    assert lines[-1] == "reveille: 2 errors; nothing was changed."
    shell("agents", "show", name, code=ExitCode.NOT_FOUND)


def test_what_cannot_be_read_is_told(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("agents: [")
    shell("apply", "-f", str(path), code=ExitCode.USAGE)
    assert shell.err.startswith(f"reveille: {path}:2:1: this is not YAML")
    shell("apply", "-f", str(tmp_path / "none.yaml"), code=ExitCode.FAILED)
    assert "none.yaml: No such file" in shell.err
    path.write_text("models:\n- {name: x, provider: openai, model: m, key: {env: NOT_SET_ANYWHERE}}\n")
    shell("apply", "-f", str(path), code=ExitCode.USAGE)
    assert f"{path}:2:46: key: The environment variable NOT_SET_ANYWHERE is not set" in shell.err


def test_an_export_is_applied_without_a_change(shell: Shell, file: Path, name: str, tmp_path: Path) -> None:
    shell("apply", "-f", str(file))
    exported = tmp_path / "export.yaml"
    exported.write_text(shell("export"))
    assert name in exported.read_text()
    assert "to create" not in shell("apply", "-f", str(exported), "--dry-run")


def test_the_commands_of_the_page_succeed(service: Service, tmp_path: Path) -> None:
    (file,) = (block for block in blocks("definitions.md", "yaml") if block.startswith("# night-watch.yaml"))
    (tmp_path / "night-watch.yaml").write_text(file)
    script = "\n".join(["export PYTHONPATH=$PWD", f"cd {tmp_path}", *blocks("definitions.md", "sh")])
    said = bash(script, REVEILLE_URL=service.url, REVEILLE_API_KEY=service.key)
    assert "6 created" in said
    assert said.rstrip().endswith(" unchanged.")


def test_the_commands_of_the_page_of_the_simulator_succeed(service: Service, tmp_path: Path) -> None:
    (file,) = blocks("simulator.md", "yaml")
    (tmp_path / "proposal.yaml").write_text(file)
    script = "\n".join(["export PYTHONPATH=$PWD", f"cd {tmp_path}", *blocks("simulator.md", "sh")])
    said = bash(script, REVEILLE_URL=service.url, REVEILLE_API_KEY=service.key)
    assert len(re.findall(r"^watch +proposed", said, re.MULTILINE)) == 2
    assert "moved" in said
    assert " watch " not in bash("reveille agents list", REVEILLE_URL=service.url, REVEILLE_API_KEY=service.key)


def test_a_rate_of_another_form_is_refused(shell: Shell) -> None:
    shell("simulate", "--rate", "ada=5", code=ExitCode.USAGE)
    assert "is not of the form AGENT/TRIGGER=RATE" in shell.err


@pytest.mark.parametrize(
    ("change", "is_valid"),
    [
        ({}, True),
        ({"timezone": 5}, False),
        ({"runtime": {"kind": "llm", "modle": "x"}}, False),
        ({"runtime": {"kind": "http", "url": "https://a.example", "token": {"env": "X"}}}, True),
        ({"triggers": [{"name": "t", "type": "cron", "config": {"exrp": "* * * * *"}}]}, False),
        ({"triggers": [{"name": "t", "type": "cron", "config": {"expr": "* * * * *"}, "agent": "a"}]}, False),
    ],
    ids=["as it is", "zone", "runtime", "reference", "config", "nested"],
)
def test_the_schema_tells_right_from_wrong(change: dict[str, Any], *, is_valid: bool) -> None:
    (file,) = (block for block in blocks("definitions.md", "yaml") if block.startswith("# night-watch.yaml"))
    (document,) = (each.plain() for each in read_yaml(file, "a.yaml"))
    document["agents"][0] |= change
    assert jsonschema_rs.validator_for(json.loads(json.dumps(definition_schema()))).is_valid(document) is is_valid
