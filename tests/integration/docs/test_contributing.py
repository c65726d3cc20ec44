"""Makes the changes that docs/contributing.md counts in a copy of the tree, and tries them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scheduler.storage.migrate import head_revision
from tests.support.postgres import Databases

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
COPIED = ("api", "config", "scheduler", "docs", "tests/support")
Change = Mapping[str, str | tuple[str, str]]
"""The path of a new file with its text, or of an existing one with an anchor and the text before it."""

KIND = '''"""{name}: a kind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from scheduler.domain.schedule import Schedule
from scheduler.triggers.{base}
from scheduler.triggers.interval import IntervalSchedule


class {title}Config({parent}):
    """A kind."""

    kind: ClassVar = "{name}"
    label: ClassVar = "{title}"
    summary: ClassVar = "When the {name} comes."
    docs: ClassVar = "docs/triggers/{name}.md"

    port: str = Field(title="Port", examples=["Dover"])
'''
TIDE = (
    KIND.format(name="tide", title="Tide", base="base import TriggerConfig", parent="TriggerConfig")
    + '''
    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """An even grid."""
        return IntervalSchedule(anchor, timedelta(hours=12, minutes=25))
'''
)
SAIL = (
    KIND.format(name="sail", title="Sail", base="looks import LookConfig, CheckResult", parent="LookConfig")
    + '''
    def look(self, cursor: Any) -> CheckResult:
        """See one more each time."""
        seen = (cursor or 0) + 1
        return CheckResult(seen, {"seen": seen} if cursor else None)
'''
)
GULL = '''"""gull: a runtime."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from scheduler.runtimes.base import Outcome, Replied, RunRequest, RuntimeConfig, RuntimeParts


class GullRuntime(RuntimeConfig):
    """A runtime."""

    label: ClassVar = "Gull"
    summary: ClassVar = "a gull"
    docs: ClassVar = "docs/runtimes.md#gull"

    kind: Literal["gull"]
    cry: str = Field(title="Cry")

    async def run(self, request: RunRequest, parts: RuntimeParts) -> Outcome:
        """Cry."""
        return Replied(self.cry)
'''
TESTS = {
    "tide": """
from datetime import UTC, datetime
from api.web.forms.triggers import form_of
from scheduler.triggers.preview import preview
from scheduler.triggers.tool_text import kinds_for_agents

def test_tide():
    at = datetime(2030, 1, 1, tzinfo=UTC)
    assert len(preview("tide", {"port": "Dover"}, zone="UTC", after=at, count=3, naive_ok=False).fire_times) == 3
    assert "config.port" in [each.name for each in form_of("tide")]
    assert '- tide: {"port": "Dover"}' in kinds_for_agents()
""",
    "sail": """
from api.web.forms.triggers import form_of
from scheduler.triggers.registry import CLOCKED, KINDS, TIMED

def test_sail():
    assert "sail" in TIMED and "sail" not in CLOCKED
    assert KINDS["sail"](port="Dover").look(1).data == {"seen": 2}
    assert "config.interval_seconds" in [each.name for each in form_of("sail")]
""",
    "gull": """
import asyncio
from api.schemas.agents import AgentIn, AgentOut
from api.web.forms.runtimes import read_new, runtime_inputs
from scheduler.domain.run import Replied, RuntimeSpec
from scheduler.runtimes.registry import make_runtime

def test_gull():
    assert read_new("gull", {"cry": "aah"}) == {"kind": "gull", "cry": "aah"}
    assert AgentIn(name="x", runtime={"kind": "gull", "cry": "aah"}).runtime.cry == "aah"
    assert "GullRuntimeOut" in str(AgentOut.model_json_schema())
    run = make_runtime(RuntimeSpec("gull", {"cry": "aah"}, None, 1.0), None).run(None)
    assert asyncio.run(run) == Replied("aah")
""",
    "colour": """
import json
import os
from uuid import UUID
from api.web.forms.triggers import form_of
from scheduler.cli import run
from scheduler.storage.migrate import upgrade
from tests.support.api import running_api, served
from tests.support.pages import signed_in
from tests.support.tools import Toolbox

def test_colour(capsys, monkeypatch):
    url = os.environ["SCRATCH_DATABASE"]
    upgrade(url.replace("postgresql:", "postgresql+psycopg:", 1))
    assert "colour" in [each.name for each in form_of("cron")]
    with running_api(url) as api:
        agent = api.agent("ada")
        made = api.trigger(agent["id"], colour="red")
        path = f"/triggers/{made['id']}"
        assert (made["colour"], api.get(path)["colour"]) == ("red", "red")
        assert api.patch(path, {"colour": "blue"})["colour"] == "blue"
        assert api.trigger(agent["id"], "other")["colour"] == ""

        form = {"type": "interval", "agent_id": agent["id"], "config.hours": "1", "name": "form", "colour": "grey"}
        assert signed_in(api).post("/triggers/new", **form).status_code == 303
        assert api.get("/triggers")["items"][0]["colour"] == "grey"

        with served(api) as address:
            monkeypatch.setenv("REVEILLE_URL", address)
            monkeypatch.setenv("REVEILLE_API_KEY", api.key)
            assert run(["triggers", "add", "ada", "--every", "1h", "--colour", "green", "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["colour"] == "green"
            assert run(["triggers", "add", "--help"]) == 0
            assert "How it is painted" in capsys.readouterr().out

        tools = Toolbox(api.db, UUID(agent["id"]))
        asked = {"name": "own", "type": "interval", "config": {"minutes": 60}, "reason": "Look.", "colour": "pink"}
        assert tools("set_trigger", **asked)["colour"] == "pink"
        assert tools("update_trigger", trigger="own", colour="brown")["colour"] == "brown"
""",
}


CHANGES: dict[str, Change] = {
    "A kind of trigger with a schedule": {
        "scheduler/triggers/tide.py": TIDE,
        "scheduler/triggers/registry.py": ("TideConfig", "scheduler.triggers.tide"),
        "docs/triggers/tide.md": "# tide\n\nWhen the tide turns.\n",
        "tests/unit/test_tide.py": TESTS["tide"],
    },
    "A kind of trigger that is checked": {
        "scheduler/triggers/sail.py": SAIL,
        "scheduler/triggers/registry.py": ("SailConfig", "scheduler.triggers.sail"),
        "docs/triggers/sail.md": "# sail\n\nWhen a sail is seen.\n",
        "tests/unit/test_sail.py": TESTS["sail"],
    },
    "A runtime": {
        "scheduler/runtimes/gull.py": GULL,
        "scheduler/runtimes/registry.py": ("GullRuntime", "scheduler.runtimes.gull"),
        "docs/runtimes.md": ("## A new runtime\n", "## gull\n\nA gull.\n\n"),
        "tests/unit/test_gull.py": TESTS["gull"],
    },
    "A field of all triggers": {
        "scheduler/storage/migrations/versions/colour.py": f'''from alembic import op

revision = "colour"
down_revision = "{head_revision()}"


def upgrade() -> None:
    op.execute("ALTER TABLE triggers ADD COLUMN colour text NOT NULL DEFAULT ''")
''',
        "scheduler/storage/tables/core.py": (
            "    notification_summary: Mapped[str | None]\n",
            '    colour: Mapped[str] = mapped_column(server_default="")\n',
        ),
        "scheduler/manage/triggers/spec.py": (
            "    notification_summary: str | None = field(\n",
            '    colour: str = field(default="", metadata=settable("How it is painted.", for_agents="Its paint."))\n',
        ),
        "scheduler/storage/read_models/triggers.py": (
            "    notification_summary: str | None\n",
            "    colour: str\n",
        ),
        "api/schemas/triggers.py": ("", ""),
        "docs/api.md": ("| `notification_summary` |", "| `colour` | empty | how it is painted |\n"),
        "tests/unit/test_colour.py": TESTS["colour"],
    },
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creates a copy of the tree with all of the changes."""
    tree = tmp_path_factory.mktemp("tree")
    for each in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "*.png", "node_modules")
        shutil.copytree(ROOT / each, tree / each, ignore=ignored)
    (tree / "tests/__init__.py").touch()
    (tree / "tests/unit").mkdir()
    for changes in CHANGES.values():
        for path, change in changes.items():
            make(tree / path, change)
    return tree


def make(file: Path, change: str | tuple[str, str]) -> None:
    """Makes one change."""
    if isinstance(change, str):
        file.write_text(change, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    anchor, added = change
    if file.name == "registry.py":
        text = text.replace("\nOURS", f"\nfrom {added} import {anchor}\n\nOURS", 1)
        text = re.sub(r"(OURS: [^\n]*\(\n)", rf"\1    {anchor},\n", text, count=1)
    elif file.parts[-2:] == ("schemas", "triggers.py"):
        given, shown = "    misfire_policy: Literal", "    misfire_policy: str\n"
        assert given in text
        assert shown in text
        text = text.replace(
            given, f'    colour: str = Field("", title="Colour", description=help_of("colour"))\n{given}', 1
        )
        text = text.replace(shown, f"    colour: str\n{shown}", 1)
    else:
        assert anchor in text, file
        text = text.replace(anchor, added + anchor, 1)
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("heading", list(CHANGES))
def test_the_page_lists_and_counts_the_files_of_a_change(heading: str) -> None:
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    listed = re.findall(r"^- `([^`]+)`", section, re.MULTILINE)
    new = {"tide", "sail", "gull", "colour"}
    changed = [
        "/".join(re.sub("|".join(new), "{name}", part) for part in path.split("/")) for path in CHANGES[heading]
    ]
    assert sorted(listed) == sorted(changed)
    assert f"\n{len(changed)} files" in section


def test_the_changes_work(copy: Path, databases: Databases) -> None:
    url = databases.create()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "tests/unit"],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "SCRATCH_DATABASE": url, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    databases.drop(url)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "4 passed" in done.stdout, done.stdout[-500:]
