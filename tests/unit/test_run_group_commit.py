"""Concurrent items are written together, a single item at once, and one that cannot be written alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from scheduler.invocations import group_commit
from scheduler.invocations.group_commit import Gatherer


class Writer:
    """Records its batches; an item `bad` cannot be written."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def write(self, items: Sequence[str]) -> Sequence[str]:
        self.batches.append(list(items))
        await asyncio.sleep(0)
        if "bad" in items:
            raise ValueError("bad")
        return [item.upper() for item in items]


def test_all_that_are_expected_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LONGEST_PATIENCE", 60.0)
    monkeypatch.setattr(group_commit, "PATIENCE_OF_EACH", 60.0)
    writer = Writer()

    async def run() -> list[str]:
        gatherer = Gatherer(writer.write)
        gatherer.expect(3)
        async with asyncio.timeout(20):
            return await asyncio.gather(*map(gatherer.submit, ["a", "b", "c"]))

    assert asyncio.run(run()) == ["A", "B", "C"]
    assert writer.batches == [["a", "b", "c"]]


def test_it_waits_for_no_sender_that_is_not_expected_or_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LONGEST_PATIENCE", 60.0)
    monkeypatch.setattr(group_commit, "PATIENCE_OF_EACH", 60.0)
    writer = Writer()

    async def run() -> None:
        gatherer = Gatherer(writer.write)
        async with asyncio.timeout(20):
            gatherer.expect(1)
            assert await gatherer.submit("alone") == "ALONE"
            gatherer.expect(2)
            waiting = asyncio.ensure_future(gatherer.submit("one"))
            await asyncio.sleep(0.01)
            assert writer.batches == [["alone"]]
            gatherer.expect(-1)
            assert await waiting == "ONE"

    asyncio.run(run())
    assert writer.batches == [["alone"], ["one"]]


def test_others_are_waited_for_a_moment_only() -> None:
    writer = Writer()

    async def run() -> None:
        gatherer = Gatherer(writer.write)
        gatherer.expect(100)
        async with asyncio.timeout(20):
            assert await gatherer.submit("one") == "ONE"

    asyncio.run(run())


def test_one_that_cannot_be_written_is_found_and_affects_no_other() -> None:
    writer = Writer()

    async def run() -> list[str | BaseException]:
        gatherer = Gatherer(writer.write)
        gatherer.expect(5)
        return await asyncio.gather(*map(gatherer.submit, ["a", "b", "bad", "c", "d"]), return_exceptions=True)

    a, b, bad, c, d = asyncio.run(run())
    assert [a, b, c, d] == ["A", "B", "C", "D"]
    assert isinstance(bad, ValueError)
