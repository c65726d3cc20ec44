"""Huey on Redis: periodic tasks, and a consumer of four threads."""

from __future__ import annotations

from functools import partial

from huey import RedisHuey, crontab

from tests.bench.peers.spec import read_spec, work


def main() -> None:
    """Consumes until killed."""
    spec = read_spec()
    huey = RedisHuey("peer", url=spec.redis)
    for name, slot in spec.in_time():
        when = crontab(minute=str(slot.minute), hour=str(slot.hour), day=str(slot.day), month=str(slot.month))
        huey.periodic_task(when, name=name)(partial(work, name))
    huey.create_consumer(workers=4, worker_type="thread", periodic=True).run()


if __name__ == "__main__":
    main()
