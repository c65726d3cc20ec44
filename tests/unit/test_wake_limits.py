"""Depth and pair limits: the pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.lineage import PAIR_SPAN, ROOT, Lineage, pair_wait, too_deep, too_often
from scheduler.domain.model import MAX_DEPTH

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def ago(*seconds: float) -> list[datetime]:
    """Returns moments so long before NOW."""
    return [NOW - timedelta(seconds=each) for each in seconds]


def test_what_a_run_causes_is_one_deeper_with_the_same_root() -> None:
    root = new_id()
    lineage = Lineage(root, 0)
    for depth in range(1, MAX_DEPTH + 1):
        lineage = lineage.caused()
        assert (lineage.root_id, lineage.depth, lineage.is_too_deep) == (root, depth, False)
    assert lineage.caused().is_too_deep
    assert not ROOT.is_too_deep
    assert str(root) in too_deep(lineage.caused(), ["ada", "bob", "ada"]).message


@pytest.mark.parametrize(
    ("wakes", "wait"),
    [
        ([], None),
        ([10, 5], None),
        ([299.5, 10, 5], 0.5),
        ([300, 10, 5], None),
        ([200, 100, 50, 1], 200),
        ([0, 0, 0], 300),
    ],
)
def test_a_pair_waits_until_the_third_last_wake_is_old_enough(wakes: list[float], wait: float | None) -> None:
    assert pair_wait(ago(*wakes), NOW) == (None if wait is None else timedelta(seconds=wait))


def test_the_refusal_says_when_to_come_again() -> None:
    assert too_often(PAIR_SPAN, ["ada", "bob"]).retry_after == 300
