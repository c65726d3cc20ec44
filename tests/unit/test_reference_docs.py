"""The settings, fields and runtimes that the pages list are those in the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from api.schemas.agents import AgentSettings
from api.schemas.triggers import TriggerSettings
from config.installation import extra_command
from config.settings import Settings, known_names, load_settings
from scheduler.cli import app, run
from scheduler.runtimes.registry import OURS, RUNTIMES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")
API = (DOCS / "api.md").read_text(encoding="utf-8")


def rows(page: str, heading: str) -> list[list[str]]:
    """Returns the cells of the table with this first heading."""
    table = page.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_exactly_the_settings_that_are_read_are_listed() -> None:
    listed = [row[0].strip("`") for row in rows(SETTINGS, "name")]
    assert listed == [field.validation_alias for field in Settings.model_fields.values()]
    assert known_names() == set(listed) | set(re.findall(r"`(\w+_FILE)`", SETTINGS))


def test_the_defaults_of_settings_are_those_that_are_listed() -> None:
    defaults = load_settings({})
    aliases = {field.validation_alias: name for name, field in Settings.model_fields.items()}
    for name, default, *_ in rows(SETTINGS, "name"):
        value = getattr(defaults, aliases[name.strip("`")])
        if not default.startswith("`"):
            assert not value, name  # described in words
        elif name in ("`REVEILLE_DATA_DIR`", "`REVEILLE_URL`"):
            assert str(value).endswith(default.strip("`").removeprefix("./").replace("PORT", "8080")), name
        elif name != "`REVEILLE_SECRET_KEY`":
            assert str(value).lower() == default.strip("`").lower(), name


@pytest.mark.parametrize(
    ("heading", "shape"), [("setting", AgentSettings), ("setting of any type", TriggerSettings)]
)
def test_each_setting_of_agents_and_triggers_is_listed_with_its_default(
    heading: str, shape: type[BaseModel]
) -> None:
    listed: dict[str, str] = {}
    for names, defaults, *_ in rows(API, heading):
        fields = re.findall(r"`(\w+)`", names)
        values = defaults.split(", ") if len(fields) == defaults.count(", ") + 1 else [defaults] * len(fields)
        listed |= zip(fields, values, strict=True)
    assert set(listed) == set(shape.model_fields)
    for name, default in listed.items():
        value = shape.model_fields[name].get_default(call_default_factory=True)
        if default.strip("`") != default or re.match(r"\d|false|true", default):
            assert str(value).lower().removesuffix(".0") == default.strip("`"), name
        else:
            assert not value, name


def test_each_runtime_is_explained_where_it_says() -> None:
    assert {row[0].strip("`") for row in rows(API, "kind")} <= set(RUNTIMES)
    for runtime in OURS:
        page, _, heading = runtime.docs.partition("#")
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert not heading or heading in {each.lower().replace(" ", "-") for each in headings}, runtime.docs


def test_make_help_names_every_target_and_the_port() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    for target in set(targets.split()) - {"help"}:
        assert f'@echo "make {target} ' in makefile, target
    assert "PORT=" in makefile


def test_every_command_is_named() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    root = typer.main.get_command(app)
    commands: dict[str, Any] = getattr(root, "commands")  # noqa: B009  # its type is not told
    for name in commands:
        assert f"`{name}`" in page, name


@pytest.mark.parametrize("group", ["", "agents", "triggers", "targets", "invocations", "tenants", "keys"])
def test_no_line_of_help_is_cut(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([*filter(None, [group]), "--help"])
    commands = capsys.readouterr().out.partition("Commands:")[2]
    assert commands.count("\n") > 2
    assert "..." not in commands


def test_the_libraries_of_two_providers_are_installed_from_a_file_that_is_there() -> None:
    install = extra_command("providers")
    assert f"`{install}`" in (DOCS / "models.md").read_text(encoding="utf-8")
    assert (ROOT / install.rpartition(" ")[2]).exists()
