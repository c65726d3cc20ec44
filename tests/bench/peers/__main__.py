"""`make bench-peers`: Reveille and other schedulers side by side. Arguments: the names of those to measure.

The peers run in their own environments, `.venv-peers`, `.venv-peers-alpha` and `.venv-peers-node`.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial

from tests.bench.peers.measure import BURSTS, ROOT, Found, Peer, idle, killed, lateness, services
from tests.bench.peers.plot import picture
from tests.bench.peers.reveille import reveille_idle, reveille_killed, reveille_lateness

MODULE = "tests.bench.peers."
PEERS = (
    Peer("APScheduler 3.11", ((f"{MODULE}apscheduler3",),), ahead=60.0),
    Peer("APScheduler 4 alpha", ((f"{MODULE}apscheduler4",),), (".venv-peers-alpha/bin/python", "-m"), 60.0),
    Peer(
        "Celery beat", ((f"{MODULE}celery_beat", "beat", "{directory}/beat"), (f"{MODULE}celery_beat", "worker"))
    ),
    Peer("Celery RedBeat", ((f"{MODULE}celery_beat", "redbeat"), (f"{MODULE}celery_beat", "worker")), ahead=40.0),
    Peer("Huey", ((f"{MODULE}huey_tasks",),)),
    Peer("Procrastinate", ((f"{MODULE}procrastinate_periodic",),)),
    Peer("DBOS", ((f"{MODULE}dbos_schedules",),), ahead=30.0),
    Peer("pg-boss", (("tests/bench/peers/pg_boss.mjs",),), ("node",)),
    Peer("loop of 15 s", ((f"{MODULE}tick",),)),
)
PICTURE = ROOT / "docs" / "peers.svg"


def measure(name: str, parts: Iterable[Callable[[Found], None]]) -> Found:
    """Makes all measurements of one; reports a part that fails and makes the others."""
    found = Found(name)
    began = time.monotonic()
    for part in parts:
        try:
            part(found)
        except Exception as error:  # noqa: BLE001  # whatever one does, the others are measured
            found.error += f"{error!r}; "
    found.seconds = time.monotonic() - began
    print(json.dumps(asdict(found)), flush=True)  # noqa: T201
    return found


def table(rows: list[Found]) -> str:
    """Returns the rows in Markdown."""
    heads = ["", *(f"{count:,} due, p50; p99" for count in BURSTS), "a second", "idle cores (stored)", "kill -9"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        late = " | ".join(_late(row, count) for count in BURSTS)
        lines.append(
            f"| {row.name} | {late} | {row.rate.get(BURSTS[-1], 0):,.0f} | {row.idle_cores:.2f} "
            f"({row.stored:,}) | {row.lost} lost, {row.doubled} doubled |"
        )
    return "\n".join(lines)


def _late(row: Found, count: int) -> str:
    if count not in row.lateness:
        return "none ran" if count in row.ran else "not tried"
    ran = "" if row.ran[count] >= count else f" ({row.ran[count]:,} ran)"
    return "; ".join(f"{each:,.2f}" for each in row.lateness[count]) + f"{ran} s"


def main(arguments: list[str]) -> int:
    """Measures, prints a line after each peer, then the table; writes the picture."""
    wanted = [each for each in arguments if not each.startswith("--")]
    with services() as at_services:
        ours = [
            partial(each, at_services.databases) for each in (reveille_lateness, reveille_idle, reveille_killed)
        ]
        of_all = {"Reveille": ours} | {
            peer.name: [partial(each, at_services, peer) for each in (lateness, idle, killed)] for peer in PEERS
        }
        rows = [measure(name, parts) for name, parts in of_all.items() if not wanted or name in wanted]
    print(table(rows))  # noqa: T201
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    print(where)  # noqa: T201
    if not wanted:
        PICTURE.write_text(picture(rows, where))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
