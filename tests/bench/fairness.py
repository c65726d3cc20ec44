"""Measures what a flood of one tenant costs another: 50,000 triggers due at once, beside single ones of a
neighbour.

`python -m tests.bench.fairness` runs only this; with `ready` as argument for 5,000 agents ready at once, with
`hanging` for 1,000 agents that do not answer. A second argument is the number of workers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.bench.due_to_called import PATIENCE, woken_agents
from tests.bench.scheduling import percentile
from tests.bench.server import bench_server
from tests.support.postgres import Databases

PROBES, EVERY_SECONDS = 100, 0.05
"""So many that the p99 is not the slowest one, and so close that the flood outlasts them."""

NEIGHBOUR = """
    INSERT INTO tenants (id, name) VALUES ('00000000-0000-7000-8000-0000000000ff', 'neighbour');
    UPDATE agents SET tenant_id = '00000000-0000-7000-8000-0000000000ff'
    WHERE name IN (SELECT 'agent ' || n FROM generate_series(1, {probes}) AS n);
    UPDATE triggers t SET tenant_id = a.tenant_id, name = 'probe ' || a.name FROM agents a
    WHERE a.id = t.agent_id AND a.tenant_id = '00000000-0000-7000-8000-0000000000ff'
"""
MORE = """
    INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, reason, cooldown_seconds)
    SELECT gen_random_uuid(), a.tenant_id, a.id, 'more ' || n, 'interval', '{"seconds": 86400}', 'UTC', 'a bench', 0
    FROM agents a, generate_series(2, %s) AS n WHERE a.name LIKE 'agent %%' AND a.tenant_id =
        (SELECT id FROM tenants WHERE name = 'default')
"""
DUE_PROBES = """
    INSERT INTO jobs (trigger_id, kind, next_run_time)
    SELECT id, 'fire', to_timestamp(%s) + %s * (row_number() OVER ()) * interval '1 second'
    FROM triggers WHERE name LIKE 'probe %%'
    ON CONFLICT (trigger_id, kind) DO UPDATE SET next_run_time = excluded.next_run_time
"""
HANGS = """
    UPDATE agents SET runtime = jsonb_set(runtime, '{url}', to_jsonb(replace(runtime->>'url', '/run', '/hang'))),
        timeout_seconds = 10
    WHERE name LIKE 'agent %' AND tenant_id = (SELECT id FROM tenants WHERE name = 'default')
"""
DUE_FLOOD = """
    INSERT INTO jobs (trigger_id, kind, next_run_time) SELECT id, 'fire', to_timestamp(%s) FROM triggers
    WHERE name NOT LIKE 'probe %%'
"""
OF_PROBES = """
    SELECT i.id::text, extract(epoch FROM f.scheduled_for)::float8,
        extract(epoch FROM f.fired_at)::float8, extract(epoch FROM i.ready_at)::float8
    FROM invocations i JOIN firings f ON f.invocation_id = i.id
    WHERE f.trigger_name LIKE 'probe %%' AND f.scheduled_for > to_timestamp(%s)
"""
IS_FLOODED = """
    SELECT EXISTS (SELECT FROM jobs WHERE next_run_time <= clock_timestamp()) OR EXISTS (
        SELECT FROM invocations i JOIN tenants t ON t.id = i.tenant_id
        WHERE t.name = 'default' AND i.finished_at IS NULL
    )
"""


@dataclass(frozen=True, slots=True)
class Flood:
    """What one tenant has due at once."""

    triggers: int
    agents: int
    hangs: bool = False
    """Whether its agents do not answer until their timeout of 10 s."""


FLOODS = {"due": Flood(50_000, 2500), "ready": Flood(5000, 5000), "hanging": Flood(1000, 1000, hangs=True)}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The seconds of each single wake of the neighbour, in order."""

    lateness: list[float]
    """From the slot to the firing."""
    close_to_call: list[float]
    """From the close of its window to the call of its agent."""
    due_to_call: list[float]
    is_flooded: bool
    """Whether the flood was not over yet after the last one."""


@dataclass(frozen=True, slots=True)
class Fairness:
    """The neighbour's wakes, without and with the flood."""

    calm: Neighbour
    flooded: Neighbour
    crowded: Neighbour
    """Beside programs that only compute, one for each processor: what any use of them costs."""
    flood_seconds: float
    """The time until the whole flood was recorded."""

    def ratio(self, figure: str, share: float = 0.99) -> float:
        """Returns the ratio with the flood to without."""
        return percentile(getattr(self.flooded, figure), share) / percentile(getattr(self.calm, figure), share)

    def ratio_to_crowd(self, figure: str, share: float = 0.99) -> float:
        """Returns the ratio with the flood to that with programs that only compute."""
        return percentile(getattr(self.flooded, figure), share) / percentile(getattr(self.crowded, figure), share)


def fairness(databases: Databases, flood: Flood = FLOODS["due"], workers: int = 1) -> Fairness:
    """Wakes a neighbour's agents one by one, first alone, then beside the flood of another tenant."""
    with woken_agents(databases, flood.agents + PROBES, workers) as (_, _port, path, url):
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(NEIGHBOUR.format(probes=PROBES).encode())
            conn.execute(MORE, (flood.triggers // flood.agents,))
            if flood.hangs:
                conn.execute(HANGS)
            conn.execute("VACUUM ANALYZE")
        _probe(url, path, with_flood=False)  # warms the caches
        calm = _probe(url, path, with_flood=False)
        with _all_processors_busy():
            crowded = _probe(url, path, with_flood=False)
        flooded = _probe(url, path, with_flood=True)
        return Fairness(calm, flooded, crowded, _flood_seconds(url))


@contextmanager
def _all_processors_busy() -> Iterator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    computing = [subprocess.Popen(command, start_new_session=True) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for each in computing:
            each.kill()
            each.wait()


def _flood_seconds(url: str) -> float:
    with psycopg.connect(url, autocommit=True) as conn:
        query = """
            SELECT extract(epoch FROM max(fired_at) - min(scheduled_for))::float8 FROM firings
            WHERE trigger_name NOT LIKE 'probe %'
        """
        deadline = time.monotonic() + PATIENCE
        due = "SELECT count(*) FROM jobs WHERE next_run_time <= clock_timestamp()"
        while (conn.execute(due).fetchone() or [0])[0]:
            assert time.monotonic() < deadline, "the flood was not recorded"
            time.sleep(0.2)
        [seconds] = conn.execute(query).fetchone() or [0.0]
        return float(seconds)


def _probe(url: str, path: Path, *, with_flood: bool) -> Neighbour:
    path.write_text("")
    with psycopg.connect(url, autocommit=True) as conn:
        slot = time.time() + 6.0
        conn.execute(DUE_PROBES, (slot, EVERY_SECONDS))
        if with_flood:
            conn.execute(DUE_FLOOD, (slot,))
            conn.execute("ANALYZE jobs")
        deadline = time.monotonic() + PATIENCE
        while True:
            woken = conn.execute(OF_PROBES, (slot,)).fetchall()
            called = {name: float(at) for at, name in map(str.split, path.read_text().splitlines())}
            if len(woken) == PROBES and all(each[0] in called for each in woken):
                break
            assert time.monotonic() < deadline, "not all of the neighbour's agents were called"
            time.sleep(0.2)
        [is_flooded] = conn.execute(IS_FLOODED).fetchone() or [False]
    return Neighbour(
        sorted(fired - due for _, due, fired, _ in woken),
        sorted(called[each] - ready for each, _, _, ready in woken),
        sorted(called[each] - due for each, due, _, _ in woken),
        bool(is_flooded),
    )


def main() -> int:
    """Prints the figures."""
    name, workers = [*sys.argv[1:3], *("due", "1")[len(sys.argv) - 1 :]]
    flood = FLOODS[name]
    with bench_server() as databases:
        found = fairness(databases, flood, int(workers))
    for figure in ("lateness", "close_to_call", "due_to_call"):
        for share in (0.5, 0.99):
            calm, flooded, crowded = (
                percentile(getattr(each, figure), share) for each in (found.calm, found.flooded, found.crowded)
            )
            line = (
                f"{figure} p{share * 100:.0f}: {calm * 1000:.0f} ms alone, {flooded * 1000:.0f} ms with the flood"
            )
            print(f"{line}, ratio {flooded / calm:.2f}; beside computing {crowded * 1000:.0f} ms")  # noqa: T201
    if not found.flooded.is_flooded:
        print("the flood was over before the last wake: its figures are too good")  # noqa: T201
    print(f"the flood of {flood.triggers:,} was recorded in {found.flood_seconds:.1f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
