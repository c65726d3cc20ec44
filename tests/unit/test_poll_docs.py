"""docs/triggers/poll.md matches the code."""

from __future__ import annotations

import re
from pathlib import Path

from scheduler.triggers.poll import PollConfig

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/triggers/poll.md").read_text(encoding="utf-8")


def test_the_table_of_the_config_has_every_field() -> None:
    table = PAGE.split("## Config")[1].split("\n\n")[1]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(PollConfig.model_fields)
