"""Measures what metrics and traces cost: services side by side, with and without them, of agents that are woken
each second.

By turns they could not be compared on a shared machine: what a wake costs differs there by a third from one minute
to the next. Each has a PostgreSQL of its own, with a copy of the same database, whose triggers are all due at one
moment of each second: a wake alone costs eight times as much, so each service would be measured by how its triggers
happen to meet; and against the cheapest wakes, what is added weighs most. As one place is not quite like another,
the services change places in each round. Two of them have everything off: by what these differ in each round, the
noise is known.

`python -m tests.bench.soak SECONDS ROUNDS` runs only this, with rounds of so many seconds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.due_to_called import called
from tests.bench.soak_service import BOTH_OFF, Mode, Service, copies, service
from tests.bench.span_receiver import span_receiver, spans_in

SECONDS, ROUNDS = 30, 4
"""As many rounds as modes, so that each mode is once in each place."""
SCRAPE_SECONDS = 5.0
WARM_SECONDS = 8.0
"""From when all processes are ready until it is measured: what was missed meanwhile is then caught up."""
TARGET = 1.1


@dataclass(frozen=True, slots=True)
class Cost:
    """The CPU of one firing with its wake, in milliseconds."""

    service: float
    """That of the web server and the worker."""
    database: float
    wakes: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was measured in each round, and the spans that arrived."""

    costs: Mapping[Mode, Sequence[Cost]]
    due: int
    """The spans that were to be exported."""
    missing: int
    twice: int

    def cost(self, mode: Mode, figure: str = "service") -> float:
        """Returns the mean of a figure over the rounds."""
        return statistics.fmean(getattr(each, figure) for each in self.costs[mode])

    def ratio(self, mode: Mode, figure: str = "service") -> float:
        """Returns what it costs in `mode` against the mean of those with everything off."""
        return self.cost(mode, figure) / statistics.fmean(self.cost(off, figure) for off in BOTH_OFF)

    def noise(self, figure: str = "service") -> float:
        """Returns the standard error of a ratio, by how much those with everything off differ in each round."""
        pairs = zip(*(self.costs[off] for off in BOTH_OFF), strict=True)
        squares = [(getattr(one, figure) / getattr(other, figure) - 1) ** 2 for one, other in pairs]
        return float((statistics.fmean(squares) / len(squares)) ** 0.5)


@contextmanager
def _scraping(services: Sequence[Service]) -> Iterator[None]:
    """Reads the metrics of services again and again, until the end of the block."""
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(SCRAPE_SECONDS):
            for one in services:
                one.scrape()

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _measure(services: Mapping[Mode, Service], seconds: float) -> dict[Mode, Cost]:
    """Starts the services, lets them catch up, measures them for so long, and stops them."""
    for mode, one in services.items():
        one.start(mode)
    for one in services.values():
        one.wait_ready()
    with _scraping([*services.values()]):
        time.sleep(WARM_SECONDS)
        before = {mode: one.sample() for mode, one in services.items()}
        time.sleep(seconds)
        after = {mode: one.sample() for mode, one in services.items()}
    for one in services.values():
        one.stop()
    costs = {}
    for mode in services:
        used, of_database, wakes = (late - early for early, late in zip(before[mode], after[mode], strict=True))
        costs[mode] = Cost(used * 1000 / wakes, of_database * 1000 / wakes, int(wakes))
    return costs


def soak(seconds: float, rounds: int, say: Callable[[str], None] = lambda _: None) -> Soaked:
    """Measures a service in each mode, side by side, `rounds` times for `seconds`."""
    costs: dict[Mode, list[Cost]] = {mode: [] for mode in Mode}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reveille-bench-")))
        port, _ = stack.enter_context(called(directory))
        receiver, arrived = stack.enter_context(span_receiver(directory))
        places = copies(directory, len(Mode), f"http://127.0.0.1:{port}/run")
        services = deque(stack.enter_context(service(each, receiver)) for each in places)
        say(f"{len(services)} services are set up")
        for number in range(rounds):
            for mode, cost in _measure(dict(zip(Mode, services, strict=True)), seconds).items():
                costs[mode].append(cost)
                say(
                    f"{number + 1} {mode:<8} {cost.service:.2f} ms, PostgreSQL {cost.database:.2f} ms,"
                    f" {cost.wakes / seconds:.1f} wakes per s, load {psutil.getloadavg()[0]:.1f}"
                )
            services.rotate()
        spans = [(each.trace_id, each.span_id) for each in spans_in(arrived)]
        due, different = sum(each.due_spans for each in services), len(set(spans))
    return Soaked(costs, due, due - different, len(spans) - different)


def main(arguments: list[str]) -> int:
    """Prints each round, then the means and ratios. Exits 1 when the target is missed."""
    seconds = float(arguments[0]) if arguments else SECONDS
    rounds = int(arguments[1]) if len(arguments) > 1 else ROUNDS
    soaked = soak(seconds, rounds, lambda line: print(line, flush=True))  # noqa: T201
    for mode in Mode:
        print(  # noqa: T201
            f"{mode:<8} {soaked.cost(mode):.2f} ms ({soaked.ratio(mode):.3f}),"
            f" PostgreSQL {soaked.cost(mode, 'database'):.2f} ms ({soaked.ratio(mode, 'database'):.3f})"
        )
    print(f"noise    {soaked.noise():.3f}, PostgreSQL {soaked.noise('database'):.3f}")  # noqa: T201
    print(f"{soaked.due} spans, {soaked.missing} missing, {soaked.twice} sent twice")  # noqa: T201
    return 0 if soaked.ratio(Mode.ALL) <= TARGET and not soaked.missing else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
