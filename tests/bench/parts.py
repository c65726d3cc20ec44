"""The parts of the bench: each measures something and yields its figures."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Mapping

from tests.bench import scheduling
from tests.bench.close_to_call import close_to_call
from tests.bench.creating import CONNECTIONS, creation
from tests.bench.due_to_called import statements, waking
from tests.bench.fairness import FLOODS, fairness
from tests.bench.intake import intake_ratio, intake_under_attack
from tests.bench.live_pages import PAGES, live_pages
from tests.bench.llm_runs import RUNS, thinking_cost
from tests.bench.lone import Turn, lone
from tests.bench.memory import resident_megabytes
from tests.bench.pages import page_times
from tests.bench.polls import feed_capacity, poll_capacity
from tests.bench.retention import lateness_beside_removal, sizes_of_a_day
from tests.bench.soak import ROUNDS as SOAK_ROUNDS
from tests.bench.soak import SECONDS as SOAK_SECONDS
from tests.bench.soak import TARGET as SOAK_TARGET
from tests.bench.soak import soak
from tests.bench.soak_service import AGENTS, Mode
from tests.bench.stored import FEW as FEW_STORED
from tests.bench.stored import MANY as MANY_STORED
from tests.bench.stored import stored
from tests.support.postgres import Databases

STOCK_COUNT = 2000
FIRINGS = 50_000
TYPES = ("interval", "cron")
ROUNDS = 5
"""The number of rounds of which the median of rates and ratios counts: a shared machine may be a third slower for
some seconds.
"""
BURST = 10_000
FEW, MANY = 1000, 100_000
DUE_AT_ONCE, TOGETHER = 1000, 100
BEFORE = 31.0
"""Agents called a second on 2 cores, before invocations were claimed and ended together (2026-11-26)."""


Measured = tuple[str, float, str, str, bool | None]
"""What was measured, its value and unit, the target and whether it is met, if there is one."""


def _rates(databases: Databases) -> tuple[float, ...]:
    """Returns firings per second: stock's, then ours for each of TYPES."""
    stock = STOCK_COUNT / max(scheduling.stock_lateness(databases, STOCK_COUNT))
    return stock, *(scheduling.throughput(databases, each, FIRINGS) for each in TYPES)


def _waking_lines(databases: Databases) -> Iterator[Measured]:
    """Measures the whole path from due to called, against a plain loop in the same run."""
    for count in (DUE_AT_ONCE, BURST):
        woken = waking(databases, count)
        ratio = woken.rate / woken.bare
        yield "bare asyncio + httpx loop, the best of 1, 10 and 50 connections", woken.bare, "per s", "", None
        yield f"agents called, {count:,} due at once", woken.rate, "per s", "", None
        yield "  against the bare loop", ratio, "x", ">= 0.5", ratio >= 0.5
        yield "  against the figure before", woken.rate / BEFORE, "x", ">= 6", woken.rate >= 6 * BEFORE
        yield "  due to last call", woken.latencies[-1], "s", "", None
        yield "  CPU of the worker for each", woken.cpu_ms, "ms", "<= 6", woken.cpu_ms <= 6
    each = statements(databases, TOGETHER)
    yield f"  statements for each, {TOGETHER} due at once", each, "", "<= 4", each <= 4
    two = waking(databases, BURST, workers=2)
    yield f"agents called by two workers, {BURST:,} due at once", two.rate, "per s", "", None
    yield "  against one worker", two.rate / woken.rate, "x", *_if_cores(two.rate >= 1.6 * woken.rate, ">= 1.6")


def _if_cores(met: bool, target: str) -> tuple[str, bool | None]:
    """Returns the target and whether it is met; with fewer than 4 cores there is none."""
    return (target, met) if (os.cpu_count() or 1) >= 4 else ("", None)


def _call_lines(databases: Databases) -> Iterator[Measured]:
    """Measures from the close of a window to the call, against an idle dispatch and the bare loop."""
    found = close_to_call(databases)
    for share in (0.5, 0.99):
        lone = scheduling.percentile(found.due_alone, share) * 1000
        yield f"one agent alone, due to called, p{share * 100:.0f}", lone, "ms", "", None
    alone, idle, together = (
        scheduling.percentile(each, 0.99) for each in (found.alone, found.dispatch, found.together)
    )
    yield "one agent alone, close to call, p99", alone * 1000, "ms", "", None
    yield "  against an idle dispatch by Procrastinate", alone / idle, "x", "<= 5", alone <= 5 * idle
    yield f"{TOGETHER} agents at once, close to call, p99", together * 1000, "ms", "", None
    ratio = together / found.bare
    yield f"  against {TOGETHER} calls by the bare loop", ratio, "x", "<= 2.5", ratio <= 2.5


def _fair_lines(databases: Databases) -> Iterator[Measured]:
    """Measures what one tenant's flood costs another."""
    found = fairness(databases)
    for figure, words in (("lateness", "lateness"), ("close_to_call", "close to call")):
        ratio = found.ratio(figure)
        yield (
            f"{words} p99 beside another tenant's {FLOODS['due'].triggers:,}, against without",
            ratio,
            "x",
            "<= 2",
            ratio <= 2,
        )
        yield "  against beside programs that only compute", found.ratio_to_crowd(figure), "x", "", None


def _stored_lines(databases: Databases) -> Iterator[Measured]:
    """Measures what a million stored triggers cost, compared with a thousand."""
    few, many = stored(databases, FEW_STORED), stored(databases, MANY_STORED)
    what = f"{MANY_STORED:,} triggers against {FEW_STORED:,}"
    for name, mine, base in (
        ("start", many.start_ms, few.start_ms),
        ("idle pass", many.idle_ms, few.idle_ms),
        ("lateness p99 of 1,000 due", many.late_ms, few.late_ms),
    ):
        yield f"{name}, {what}", mine / base, "x", "<= 2", mine <= 2 * base
    more = many.megabytes - few.megabytes
    yield f"memory, {what}", more, "MB", "<= 50", more <= 50


def _removal_lines(databases: Databases) -> Iterator[Measured]:
    """Measures what the removal of old history costs, and whether the size is stable."""
    found = lateness_beside_removal(databases)
    ratio = found.beside / found.calm
    yield "lateness p99 beside the removal of 1,000,000 rows, against without", ratio, "x", "<= 1.2", ratio <= 1.2
    half, end = sizes_of_a_day(databases)
    yield (
        "size at the end of a day that is sped up, against its half",
        end / half,
        "x",
        "<= 1.1",
        end <= 1.1 * half,
    )


def _pass_lines(databases: Databases) -> Iterator[Measured]:
    """Measures the firings recorded per second, against stock."""
    stock_rates, *our_rates = zip(*(_rates(databases) for _ in range(ROUNDS)), strict=True)
    stock = statistics.median(stock_rates)
    yield f"stock APScheduler: runs recorded ({STOCK_COUNT} due at once)", stock, "per s", "", None
    for kind_name, rates in zip(TYPES, our_rates, strict=True):
        ratio = statistics.median(rate / stock for rate, stock in zip(rates, stock_rates, strict=True))
        yield f"firings recorded, {kind_name}", statistics.median(rates), "per s", "", None
        yield f"  against stock, {kind_name}", ratio, "x", ">= 25", ratio >= 25


def _lateness_lines(databases: Databases) -> Iterator[Measured]:
    """Measures how late firings are, against stock."""
    for count in (FEW, BURST):
        ours, theirs = scheduling.lateness(databases, count), scheduling.stock_lateness(databases, count)
        for share in (0.5, 0.99):
            mine, stocks = scheduling.percentile(ours, share), scheduling.percentile(theirs, share)
            yield f"lateness p{share * 100:.0f}, {count:,} due in one second", mine * 1000, "ms", "", None
            yield "  stock", stocks * 1000, "ms", "", None
            if (count, share) == (BURST, 0.99):
                yield "  against stock", mine / stocks, "x", "<= 0.1", mine <= 0.1 * stocks


def _idle_lines(databases: Databases) -> Iterator[Measured]:
    """Measures what triggers that are not due cost."""
    few, many = scheduling.idle_pass(databases, FEW), scheduling.idle_pass(databases, MANY)
    yield f"idle pass, {FEW:,} triggers", few, "ms", "", None
    yield f"idle pass, {MANY:,} triggers", many, "ms", "", None
    yield "  ratio", many / few, "x", "<= 1.5", many <= 1.5 * few
    small, large = resident_megabytes(databases, FEW), resident_megabytes(databases, MANY)
    yield f"scheduler's memory, {FEW:,} triggers", small, "MB", "", None
    yield f"scheduler's memory, {MANY:,} triggers", large, "MB", "", None
    yield "  difference", large - small, "MB", "<= 30", large - small <= 30


def _intake_lines(databases: Databases) -> Iterator[Measured]:
    """Measures webhooks per second, against a bare route and with slow clients."""
    intake = intake_ratio(databases)
    yield "bare Flask route", intake.bare, "per s", "", None
    yield "webhooks recorded, 20 triggers", intake.durable, "per s", "", None
    yield "  ratio", intake.ratio, "x", ">= 0.4", intake.ratio >= 0.4
    yield "webhooks recorded, one trigger", intake.single, "per s", "", None
    yield "  ratio", intake.single_ratio, "x", ">= 0.4", intake.single_ratio >= 0.4
    yield "webhook answered, p99", intake.p99_ms, "ms", "", None
    attacked = intake_under_attack(databases)
    yield "webhooks recorded while 500 clients are slow", attacked.attacked, "per s", "", None
    yield "  against calm", attacked.ratio, "x", ">= 0.8", attacked.ratio >= 0.8
    yield "/healthz meanwhile, slowest", attacked.slowest_ms, "ms", "", None


def _creation_lines(databases: Databases) -> Iterator[Measured]:
    """Measures single creation by the API, against a constant answer of the same server."""
    made = creation(databases)
    yield f"constant answer of the same server, {CONNECTIONS} connections", made.constant, "per s", "", None
    for what, rate, ratio, cpu in (
        ("agents", made.agents, made.agent_ratio, made.agent_ms),
        ("triggers", made.triggers, made.trigger_ratio, made.trigger_ms),
    ):
        yield f"{what} created one by one, {CONNECTIONS} connections", rate, "per s", ">= 300", rate >= 300
        yield "  against the constant answer", ratio, "x", "", None
        yield "  CPU of the web process for each", cpu, "ms", "", None


def _poll_lines(databases: Databases) -> Iterator[Measured]:
    """Measures polls per minute of one worker."""
    polls = poll_capacity(databases)
    yield "polls, values unchanged", polls.per_minute, "per min", ">= 10000", polls.per_minute >= 10_000
    yield "  worker", polls.worker_cores, "cores", "", None
    yield "  PostgreSQL", polls.database_cores, "cores", "", None
    feeds = feed_capacity(databases).per_minute
    yield "feed polls, each answer parsed, no new entries", feeds, "per min", ">= 5000", feeds >= 5000


def _page_lines(databases: Databases) -> Iterator[Measured]:
    """Measures open live pages, and list pages with a long history."""
    live = live_pages(databases)
    yield f"{PAGES} live pages: web process", live.cores, "cores", "< 0.1", live.cores < 0.1
    yield "  pictures to each page", live.pictures, "per s", "", None
    yield "  database connections in all", live.connections, "", "<= 4", live.connections <= 4
    for page in page_times(databases):
        yield f"page {page.path}, 1,000,000 firings", page.long, "ms", "", None
        yield "  against 1,000", page.ratio, "x", "<= 2", page.ratio <= 2


def _llm_lines(databases: Databases) -> Iterator[Measured]:
    """Measures many runs of `llm` agents at once."""
    thought = thinking_cost(databases)
    yield f"memory of each of {RUNS} runs of llm agents at once", thought.kilobytes, "kB", "", None
    yield f"first token to stored reply, {RUNS} at once, p50", thought.p50_ms, "ms", "", None
    yield "  p99", thought.p99_ms, "ms", "", None


def _soak_lines(_: Databases) -> Iterator[Measured]:
    """Measures what metrics and traces cost a service that is used, beside one without them."""
    soaked = soak(SOAK_SECONDS, SOAK_ROUNDS)
    yield "CPU of web and worker for each firing with its wake", soaked.cost(Mode.OFF), "ms", "", None
    yield "  standard error of these ratios, by two services without both", soaked.noise(), "x", "", None
    yield "  with metrics, against without", soaked.ratio(Mode.METRICS), "x", "", None
    ratio = soaked.ratio(Mode.ALL)
    yield "  with metrics and traces, against without", ratio, "x", f"<= {SOAK_TARGET}", ratio <= SOAK_TARGET
    yield "  spans that did not arrive", soaked.missing, "", "0", soaked.missing == 0


def _lone_lines(_: Databases) -> Iterator[Measured]:
    """Measures what a wake costs that shares its passes and transactions with no other."""
    costs = lone()
    for turn, words in ((Turn.ALONE, "alone"), (Turn.TOGETHER, f"of {AGENTS} due at one moment")):
        yield f"CPU of web and worker for a wake {words}", costs[turn].service, "ms", "", None
        yield "  of PostgreSQL", costs[turn].database, "ms", "", None


PARTS: Mapping[str, Callable[[Databases], Iterator[Measured]]] = {
    "passes": _pass_lines,
    "lateness": _lateness_lines,
    "idle": _idle_lines,
    "intake": _intake_lines,
    "creation": _creation_lines,
    "waking": _waking_lines,
    "calls": _call_lines,
    "fairness": _fair_lines,
    "stored": _stored_lines,
    "removal": _removal_lines,
    "polls": _poll_lines,
    "pages": _page_lines,
    "llm": _llm_lines,
    "soak": _soak_lines,
    "lone": _lone_lines,
}
