"""Definitions as code from a shell: what is told, with its place, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler.commands.definition_schema import definition_schema
from scheduler.commands.definitions import DIFFERENT
from scheduler.commands.exits import ExitCode
from tests.integration.commands.client.test_doc_commands import bash, blocks
from tests.support.shell import Service, Shell
from tests.support.web import ROOT

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
    assert "5 created" in said
    assert said.rstrip().endswith(" unchanged.")


def test_the_schema_in_the_docs_is_the_one_of_the_service() -> None:
    written = json.loads((ROOT / "docs/definitions.schema.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(definition_schema())), "reveille schema > docs/definitions.schema.json"
