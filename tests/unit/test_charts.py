"""The labels of the charts."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from api.web.charts import LETTER, WIDTH, Chart, Series, draw
from scheduler.domain.periods import LENGTHS, Step
from scheduler.storage.read_models.insights import Bucket

START = datetime(2026, 11, 28, 20, tzinfo=UTC)


def chart(count: int, step: Step) -> Chart:
    buckets = [Bucket(start=START + index * LENGTHS[step]) for index in range(count)]
    return draw("Firings", buckets, [Series("firings", "accent", lambda each: each.firings)], str, step, "UTC")


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("count", [1, 2, 7, 8, 24, 25, 26, 30, 31, 49, 90, 168, 169, 366, 400])
def test_labels_touch_neither_each_other_nor_the_end(count: int, step: Step) -> None:
    ticks = chart(count, step).ticks
    places = [tick.x / 100 * WIDTH for tick in ticks]
    assert places[0] == 0
    for tick, (place, following) in zip(ticks, pairwise([*places, WIDTH]), strict=True):
        assert place + len(tick.text) * LETTER < following


@pytest.mark.parametrize(
    ("count", "step", "texts"),
    [
        (25, Step.HOUR, ["20:00", "01:00", "06:00", "11:00", "16:00"]),
        (169, Step.HOUR, ["28 Nov 20:00", "01 Dec 05:00", "03 Dec 14:00"]),
        (30, Step.DAY, ["28 Nov", "04 Dec", "10 Dec", "16 Dec", "22 Dec"]),
    ],
)
def test_labels_are_even_and_say_as_much_as_is_needed(count: int, step: Step, texts: list[str]) -> None:
    assert [tick.text for tick in chart(count, step).ticks] == texts


def test_a_chart_of_nothing_has_no_labels() -> None:
    assert chart(0, Step.DAY).ticks == []
