"""Channels and notification targets of an installed package, and what is left out of a broken one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
from scheduler.channels.slack import SlackChannel
from scheduler.notifications.targets.slack import SlackWebhook

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
from scheduler.channels.registry import KINDS
from scheduler.channels.slack import SlackChannel
from scheduler.notifications.targets.registry import TARGETS, open_target
assert KINDS["slack"] is SlackChannel
print(",".join(KINDS), ",".join(TARGETS), type(open_target("zulip", None)).__name__)
print("zulip" in str(ChannelIn.model_json_schema()))
"""


def test_channels_and_targets_of_a_package_are_found_and_broken_ones_left_out(tmp_path: Path) -> None:
    info = tmp_path / "scratch_chat-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: scratch-chat\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(ENTRIES)
    tmp_path.joinpath("scratch_chat.py").write_text(MODULE)
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "slack,discord,feishu,zulip webhook,slack,discord,feishu,zulip ZulipTarget",
        "True",
    ], done.stderr
    left_out = [
        line for line in done.stderr.splitlines() if "could not be loaded" in line or "is left out" in line
    ]
    assert len(left_out) == 4, done.stderr
