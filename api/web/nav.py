"""The pages in the navigation, in the order of a night's questions."""

from __future__ import annotations

from dataclasses import dataclass

from api.auth import Caller, Level


@dataclass(frozen=True, slots=True)
class Section:
    """A link of the navigation, shown to callers of at least `level`."""

    name: str
    path: str
    level: Level = Level.READ


SECTIONS = (
    Section("Now", "/"),
    Section("Agents", "/agents"),
    Section("Triggers", "/triggers"),
    Section("Invocations", "/invocations"),
    Section("Sessions", "/sessions"),
    Section("Deliveries", "/deliveries"),
    Section("Failed", "/dead"),
    Section("Approvals", "/approvals"),
    Section("Audit", "/audit"),
    Section("Settings", "/settings"),
)


def sections(caller: Caller) -> list[Section]:
    """What this caller may see."""
    return [section for section in SECTIONS if caller.level >= section.level]
