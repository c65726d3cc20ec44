"""Channels and notification targets from an installed package, and what is left out if it is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import load_settings
from scheduler.channels.registry import KINDS
from scheduler.domain.errors import ConfigurationError
from scheduler.notifications.targets.registry import TARGETS
from scheduler.runtimes.http_presets import presets

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
from scheduler.channels.slack import SlackChannel
from scheduler.notifications.targets.kinds import SlackWebhook

class Zulip(SlackChannel):
    kind = "zulip"

class ZulipTarget(SlackWebhook):
    kind = "zulip"

class Again(SlackChannel):
    kind = "slack"

odd = object()
"""
ENTRIES = """[reveille.channels]
again = scratch_chat:Again
odd = scratch_chat:odd
none = scratch_chat:missing
zulip = scratch_chat:Zulip
[reveille.targets]
odd = scratch_chat:odd
zulip = scratch_chat:ZulipTarget
"""
SHOW = """
from api.schemas.channels import ChannelIn
from config.settings import load_settings
from scheduler.channels.registry import KINDS
from scheduler.domain.errors import ConfigurationError
from scheduler.channels.slack import SlackChannel
from scheduler.notifications.targets.registry import TARGETS, open_target
assert KINDS["slack"] is SlackChannel
print(",".join(KINDS), ",".join(TARGETS), type(open_target("zulip", None)).__name__)
print("zulip" in str(ChannelIn.model_json_schema()))
"""


def run_beside(
    tmp_path: Path, name: str, entries: str, module: str, script: str
) -> subprocess.CompletedProcess[str]:
    """Runs `script` with an installed package `name` of one module that has these entry points."""
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(entries)
    tmp_path.joinpath(f"{name}.py").write_text(module)
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_channels_and_targets_of_a_package_are_found_and_broken_ones_left_out(tmp_path: Path) -> None:
    done = run_beside(tmp_path, "scratch_chat", ENTRIES, MODULE, SHOW)
    assert done.stdout.splitlines() == [
        f"{','.join(KINDS)},zulip {','.join(TARGETS)},zulip ZulipTarget",
        "True",
    ], done.stderr
    left_out = [
        line for line in done.stderr.splitlines() if "could not be loaded" in line or "is left out" in line
    ]
    assert len(left_out) == 4, done.stderr


KIND = '''
from datetime import timedelta
from typing import ClassVar

from pydantic import Field
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.interval import IntervalSchedule
from scheduler.triggers.options import Option

class TideConfig(TriggerConfig):
    """When the tide turns, every 12 h 25 min."""

    kind: ClassVar = "tide"
    label: ClassVar = "Tide"
    summary: ClassVar = "When the tide turns."
    options: ClassVar = (Option("--port", "port", "Where."),)

    port: str = Field(title="Port", examples=["Dover"])

    def schedule(self, zone, anchor, seed):
        """An even grid."""
        return IntervalSchedule(anchor, timedelta(hours=12, minutes=25))
'''
SHOW_KIND = """
from datetime import UTC, datetime
from api.web.forms.triggers import form_of
from scheduler.commands.trigger_options import options_of_kinds, shape
from scheduler.toolbox.triggers import SET_TRIGGER, PreviewTrigger, SetTrigger
from scheduler.triggers.preview import preview
print([each.label for each in form_of("tide") if each.name.startswith("config.")])
print(shape(None, None, {"--port": "Dover"}, options_of_kinds()))
print([line for line in SET_TRIGGER.splitlines() if "tide" in line])
print(SetTrigger.model_fields["type"].description, PreviewTrigger.model_fields["type"].description)
at = datetime(2030, 1, 1, tzinfo=UTC)
print(len(preview("tide", {"port": "Dover"}, zone="UTC", after=at, count=3, naive_ok=False).fire_times))
"""


KINDS_TOLD = (
    "cron, once, interval, poll, on_message, webhook, calendar, check, file, email, queue or tide. "
    "Instead of `trigger`: cron, once, interval or tide."
)


def test_a_schedule_kind_is_one_module_and_an_entry_point(tmp_path: Path) -> None:
    done = run_beside(
        tmp_path, "scratch_tide", "[reveille.triggers]\ntide = scratch_tide:TideConfig\n", KIND, SHOW_KIND
    )
    assert done.stdout.splitlines() == [
        "['Port']",
        "('tide', {'port': 'Dover'})",
        """['- tide: {"port": "Dover"}: when the tide turns']""",
        KINDS_TOLD,
        "3",
    ], done.stderr


def test_a_checked_kind_in_a_package_is_as_few_files_as_the_page_says() -> None:
    files = [path.name for path in (ROOT / "examples/file-trigger").iterdir() if path.is_file()]
    assert sorted(files) == ["README.md", "pyproject.toml", "reveille_file_trigger.py"]
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert all(f"`{name}`" in page for name in ("pyproject.toml", "README.md"))


BROKEN_KINDS = '''
from typing import ClassVar
from scheduler.triggers.interval import IntervalConfig

class Numbered(IntervalConfig):
    kind: ClassVar = "numbered"
    label: ClassVar = 42
    summary: ClassVar = "Never."

class Named(IntervalConfig):
    kind: ClassVar = "not a name"
    label: ClassVar = "Named"
    summary: ClassVar = "Never."

class Opaque:
    """No JSON Schema tells what it is."""

class Shapeless(IntervalConfig):
    model_config = {"arbitrary_types_allowed": True}
    kind: ClassVar = "shapeless"
    label: ClassVar = "Shapeless"
    summary: ClassVar = "Never."
    what: Opaque | None = None

class Silent(IntervalConfig):
    kind: ClassVar = "silent"
    label: ClassVar = "Silent"
    summary: ClassVar = "Never."

    @classmethod
    def in_words(cls, config):
        raise SystemExit(3)
'''


def test_a_kind_that_cannot_be_shown_is_left_out(tmp_path: Path) -> None:
    names = ("Numbered", "Named", "Shapeless", "Silent")
    entries = "[reveille.triggers]\n" + "".join(f"{name} = scratch_odd:{name}\n" for name in names)
    entries += "gone = scratch_odd.gone:Gone\nexits = scratch_exit:Gone\n"
    (tmp_path / "scratch_exit.py").write_text("raise SystemExit(3)")
    script = (
        "from scheduler.triggers.registry import KINDS, in_words; print([*KINDS][-1:], in_words('silent', {}))"
    )
    done = run_beside(tmp_path, "scratch_odd", entries, BROKEN_KINDS, script)
    assert done.stdout == "['silent'] \n", done.stderr
    for said in ("its label is wrong", "its name 'not a name' is not", "Shapeless", "SystemExit"):
        assert said in done.stderr


RUNTIMES = """
from typing import ClassVar, Literal
from scheduler.runtimes.base import RuntimeConfig

class Parrot(RuntimeConfig):
    label: ClassVar = "Parrot"
    summary: ClassVar = "a parrot"
    secrets: ClassVar = ("word",)
    kind: Literal["parrot"]
    word: str

class Nameless(RuntimeConfig):
    label: ClassVar = "Nameless"
    summary: ClassVar = "nobody"

class Again(Parrot):
    kind: Literal["http"]
"""
SHOW_RUNTIMES = """
from api.schemas.agents import AgentIn, AgentOut
from scheduler.runtimes.registry import RUNTIMES
print(",".join(RUNTIMES), RUNTIMES["http"].__name__)
print(AgentIn(name="x", runtime={"kind": "parrot", "word": "hush"}).runtime.word)
print(sorted(AgentOut.model_json_schema()["$defs"]["ParrotOut"]["properties"]))
"""


def test_runtimes_of_a_package_are_found_and_broken_ones_left_out(tmp_path: Path) -> None:
    names = {"parrot": "Parrot", "nameless": "Nameless", "again": "Again", "odd": "Literal"}
    entries = "[reveille.runtimes]\n" + "".join(f"{name} = scratch_zoo:{each}\n" for name, each in names.items())
    done = run_beside(tmp_path, "scratch_zoo", entries, RUNTIMES, SHOW_RUNTIMES)
    ours = "http,llm,command,a2a"
    assert done.stdout.splitlines() == [f"{ours},parrot HttpRuntime", "hush", "['kind']"], done.stderr
    assert done.stderr.count("is left out") == 3, done.stderr


PRESETS = """
ours = {
    "name": "desk", "label": "Desk", "summary": "a desk", "docs": "https://desk.example/docs",
    "url": "https://desk.example", "parameters": {"room": {"description": "the room"}},
    "settings": {"path": "/wake/{{room}}", "sign": False, "body": {"say": "{{context}}"}},
}
wrong = ours | {"name": "wrong", "settings": {"bdoy": 1}}
taken = ours | {"name": "dify"}
"""
PRESET_ENTRIES = """[reveille.presets]
desk = scratch_desk:ours
odd = scratch_desk:PRESETS
taken = scratch_desk:taken
wrong = scratch_desk:wrong
"""
SHOW_PRESETS = """
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.http_presets import merged, presets
print(",".join(presets()), presets()["dify"].label)
print(merged(HttpRuntime(kind="http", url="http://x", preset="desk", parameters={"room": "a"})).path)
print(HttpRuntime.described_presets()[-1]["parameters"])
"""


def test_presets_of_a_package_are_found_and_broken_ones_left_out(tmp_path: Path) -> None:
    done = run_beside(tmp_path, "scratch_desk", PRESET_ENTRIES, PRESETS, SHOW_PRESETS)
    assert done.stdout.splitlines() == [
        f"{','.join(presets())},desk Dify",
        "/wake/{{room}}",
        "[{'name': 'room', 'description': 'the room', 'default': None}]",
    ], done.stderr
    assert "settings.bdoy: There is no such field; the nearest is body" in done.stderr
    assert (
        len([line for line in done.stderr.splitlines() if "is left out" in line or "not be loaded" in line]) == 3
    )


GUARDED = """
from typing import ClassVar
from scheduler.triggers.check import CheckConfig

class Probe(CheckConfig):
    kind: ClassVar = "probe"
"""
GUARDED_SHOW = """
from config.settings import load_settings
print(sorted(load_settings().permitted.agent_kinds))
"""


def test_the_operator_can_let_agents_create_a_kind_of_a_package(tmp_path: Path) -> None:
    script = f"import os; os.environ['REVEILLE_AGENT_KINDS'] = 'probe,check'\n{GUARDED_SHOW}"
    done = run_beside(
        tmp_path, "scratch_probe", "[reveille.triggers]\nprobe = scratch_probe:Probe\n", GUARDED, script
    )
    assert done.stdout.strip() == "['check', 'probe']", done.stderr


def test_a_kind_that_needs_no_permission_is_refused_in_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVEILLE_AGENT_KINDS", "check,cron")
    with pytest.raises(ConfigurationError, match="'cron' must be one of check, file, email, queue"):
        load_settings()
