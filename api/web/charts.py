"""The geometry of charts: bars over time on one axis, positions in per cent of the width.

Pure: converts figures to what `charts.html` draws. A chart is a picture with a name and a summary in words; its
numbers are in the table beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil, floor, log10
from urllib.parse import urlencode

from flask import Flask

from api.web.filters import span
from scheduler.domain.local_time import zone_info
from scheduler.domain.periods import LENGTHS, Step
from scheduler.domain.text import counted
from scheduler.storage.read_models.insights import Bucket

HEIGHT = 96
"""Of the bars, in pixels."""
DAY_AND_HOUR = 25
"""The hours that 24 hours touch: so many need no dates."""
GAP = 0.16
"""The space between two bars, as a share of a bar's place."""
WIDTH = 240
"""The smallest width at which a chart is shown, in pixels: on a screen of 320."""
LETTER = 6
"""The width of a letter of a label, in pixels, in a wide font."""
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one colour; `css` is one of the tones of the sheet."""

    name: str
    css: str
    value: Callable[[Bucket], float | Decimal | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a bar: pixels from the top, per cent from the left."""

    x: float
    width: float
    y: float
    height: float
    css: str
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A time label below the axis."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as it is drawn."""

    name: str
    summary: str
    top: str
    """The value at the upper end of the axis."""
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    keys: Sequence[tuple[str, str]]
    """The colours and names of its series, when it has several."""
    is_empty: bool


def draw(
    name: str,
    buckets: Sequence[Bucket],
    series: Sequence[Series],
    shown: Callable[[float], str],
    step: Step,
    zone: str,
) -> Chart:
    """Draws the series of a chart on top of each other; `shown` formats a value."""
    values = [[float(each.value(bucket) or 0) for each in series] for bucket in buckets]
    sums = [sum(each) for each in values]
    highest = max(sums, default=0.0)
    top = nice(highest)
    place = 100 / max(len(buckets), 1)
    bars: list[Bar] = []
    for index, (bucket, parts) in enumerate(zip(buckets, values, strict=True)):
        x, y = index * place + place * GAP / 2, float(HEIGHT)
        told = ", ".join(f"{each.name} {shown(part)}" for each, part in zip(series, parts, strict=True) if part)
        for each, part in zip(series, parts, strict=True):
            height = max(part / top * HEIGHT, 1.0) if part else 0.0
            y -= height
            if height:
                label = f"{moment_text(bucket.start, step, zone)}: {told}"
                bars.append(
                    Bar(round(x, 3), round(place * (1 - GAP), 3), round(y, 2), round(height, 2), each.css, label)
                )
    return Chart(
        name,
        _summary(name, buckets, sums, shown, step, zone),
        shown(top),
        bars,
        _ticks(buckets, step, zone),
        [(each.css, each.name) for each in series] if len(series) > 1 else [],
        is_empty=not highest,
    )


def nice(value: float) -> float:
    """Returns the next round number from `value` up, 1 for none."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * each for each in NICE if power * each >= value * (1 - 1e-9))


def money(value: float | Decimal) -> str:
    """Formats an amount: two decimals, or two digits of what is less than one."""
    amount = float(value)
    if not amount or abs(amount) >= 1:
        return f"{amount:,.2f}"
    return f"{amount:.{1 - floor(log10(abs(amount)))}f}"


def span_query(start: datetime, step: Step, zone: str) -> str:
    """Returns the filters, as the query of a link, of what happened in the hour or day from `start`."""
    local = start.astimezone(zone_info(zone))
    following = start + LENGTHS[step] if step is Step.HOUR else (local + LENGTHS[step]).replace(fold=0)
    return times_query(start, following, zone)


def times_query(since: datetime, until: datetime, zone: str) -> str:
    """Returns the filters of lists from `since` up to `until`, exclusive."""
    ends = {"from": since, "to": until - timedelta(microseconds=1)}
    return urlencode({name: each.astimezone(zone_info(zone)).isoformat() for name, each in ends.items()})


def moment_text(start: datetime, step: Step, zone: str) -> str:
    """Formats the start of an hour or day."""
    local = start.astimezone(zone_info(zone))
    return local.strftime("%a %d %b %Y" if step is Step.DAY else "%a %d %b %H:%M")


def _ticks(buckets: Sequence[Bucket], step: Step, zone: str) -> list[Tick]:
    """Labels so few starts of buckets that no label touches the next one or the end, however narrow the chart is."""
    form = "%d %b" if step is Step.DAY else "%H:%M" if len(buckets) <= DAY_AND_HOUR else "%d %b %H:%M"
    texts = [each.start.astimezone(zone_info(zone)).strftime(form) for each in buckets]
    room = (max(map(len, texts), default=0) + 1) * LETTER
    every = max(ceil(len(buckets) / (WIDTH // room)), 1)
    last = len(buckets) * (1 - room / WIDTH)
    place = 100 / max(len(buckets), 1)
    return [Tick(round(at * place, 2), texts[at]) for at in range(0, len(buckets), every) if at <= last]


def _summary(
    name: str,
    buckets: Sequence[Bucket],
    sums: Sequence[float],
    shown: Callable[[float], str],
    step: Step,
    zone: str,
) -> str:
    if not any(sums):
        return f"{name}: none"
    most = max(range(len(sums)), key=sums.__getitem__)
    return f"{name} by {step}: at most {shown(sums[most])}, {moment_text(buckets[most].start, step, zone)}"


def install(app: Flask) -> None:
    """Installs in `app`'s templates what formats figures."""
    app.jinja_env.filters["money"] = money
    app.jinja_env.filters["counted"] = counted
    app.jinja_env.globals.update(moment_text=moment_text, span_query=span_query)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def charts_of(buckets: Sequence[Bucket], step: Step, zone: str, currency: str) -> list[Chart]:
    """Returns the charts of a page of figures."""

    def amount(value: float) -> str:
        return f"{money(value)} {currency}"

    firings = [Series("firings", "accent", lambda each: each.firings)]
    wakes = [
        Series("failed", "bad", lambda each: each.failures),
        Series("other", "good", lambda each: each.wakes - each.failures),
    ]
    late = [Series("95 % within", "busy", lambda each: each.lateness_p95)]
    tokens = [
        Series("output", "busy", lambda each: each.tokens_out),
        Series("input", "accent", lambda each: each.tokens_in),
    ]
    cost = [Series("cost", "accent", lambda each: each.cost)]
    return [
        draw("Firings", buckets, firings, _count, step, zone),
        draw("Wakes", buckets, wakes, _count, step, zone),
        draw("Lateness", buckets, late, span, step, zone),
        draw("Tokens", buckets, tokens, _count, step, zone),
        draw("Cost", buckets, cost, amount, step, zone),
    ]
