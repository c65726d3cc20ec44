"""Celery: beat with its own file or with RedBeat, and a worker of two processes, on Redis.

`python -m tests.bench.peers.celery_beat beat FILE | redbeat | worker`
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from celery import Celery
from celery.schedules import crontab

from tests.bench.peers.spec import read_spec, work

SPEC = read_spec()
app = Celery("peer", broker=SPEC.redis)
app.conf.update(timezone="UTC", redbeat_redis_url=SPEC.redis, worker_hijack_root_logger=False)


@app.task(name="work", acks_late=True, ignore_result=True)
def run(name: str) -> None:
    """Does one run."""
    work(name)


def once(slot: datetime) -> Any:
    """Returns a crontab of only that minute."""
    return crontab(minute=slot.minute, hour=slot.hour, day_of_month=slot.day, month_of_year=slot.month)


def main(part: str, *files: str) -> None:
    """Runs beat, or the worker, until killed."""
    if part == "worker":
        app.worker_main(["worker", "--concurrency=2", "--loglevel=ERROR"])
        return
    if part == "redbeat":
        from redbeat import RedBeatSchedulerEntry

        if SPEC.is_first:
            for name, slot in SPEC.in_time():
                RedBeatSchedulerEntry(name, "work", once(slot), args=[name], app=app).save()
        app.Beat(scheduler="redbeat.RedBeatScheduler", loglevel="ERROR").run()
        return
    app.conf.beat_schedule = {
        name: {"task": "work", "schedule": once(slot), "args": (name,)} for name, slot in SPEC.in_time()
    }
    app.Beat(schedule=files[0], loglevel="ERROR").run()


if __name__ == "__main__":
    main(*sys.argv[1:])
