"""Procrastinate: periodic tasks, and a worker that runs ten at once."""

from __future__ import annotations

import asyncio

from procrastinate import App, PsycopgConnector

from tests.bench.peers.spec import read_spec, work

SPEC = read_spec()
app = App(connector=PsycopgConnector(conninfo=SPEC.database))


@app.task(name="work")
def run(timestamp: int, name: str) -> None:  # noqa: ARG001  # as Procrastinate calls it
    """Does one run."""
    work(name)


async def serve() -> None:
    """Works until killed."""
    for name, slot in SPEC.in_time():
        cron = f"{slot.minute} {slot.hour} {slot.day} {slot.month} *"
        app.periodic(cron=cron, periodic_id=name, task_kwargs={"name": name})(run)
    async with app.open_async():
        if SPEC.is_first:
            await app.schema_manager.apply_schema_async()
        await app.run_worker_async(concurrency=10, install_signal_handlers=False)


if __name__ == "__main__":
    asyncio.run(serve())
