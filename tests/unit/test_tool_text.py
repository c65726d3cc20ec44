"""The texts about kinds of trigger that agents read."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from pydantic import Field

from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.registry import CLOCKED, KINDS, OFFERED
from scheduler.triggers.tool_text import example_text, kinds_for_agents, names_for_agents


class _Tide(TriggerConfig):
    kind: ClassVar = "tide"
    label: ClassVar = "Tide"
    summary: ClassVar = "When the water turns."

    port: str = Field(title="Port", examples=["Dover"])
    turn: Literal["high", "low"] = "high"
    minutes_before: int = Field(default=15, title="Minutes before")
    note: str | None = Field(default=None, title="Note")


def test_a_kind_without_words_of_its_own_is_told_by_its_fields() -> None:
    assert example_text(_Tide) == (
        '{"port": "Dover", "turn"?: "high"|"low", "minutes_before"?: 15, "note"?: NOTE}: when the water turns'
    )


@pytest.mark.parametrize("name", KINDS)
def test_the_offered_kinds_alone_are_told(name: str) -> None:
    assert (f"- {name}: {{" in kinds_for_agents()) == (name in OFFERED)
    assert (name in names_for_agents()) == (name in OFFERED)
    assert (name in names_for_agents(timed=True)) == (name in CLOCKED)
