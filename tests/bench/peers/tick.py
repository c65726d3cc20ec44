"""A model of a loop that checks every 15 s: it reads all enabled schedules, evaluates them in Python, and runs
those due.
"""

from __future__ import annotations

import time

import psycopg

from tests.bench.peers.spec import read_spec, work

EVERY_SECONDS = 15.0


def main() -> None:
    """Checks until killed."""
    spec = read_spec()
    with psycopg.connect(spec.database, autocommit=True) as conn:
        if spec.is_first:
            conn.execute(
                "CREATE TABLE schedules (name text PRIMARY KEY, due float8, is_enabled bool DEFAULT true)"
            )
            with conn.cursor() as cursor, cursor.copy("COPY schedules (name, due) FROM STDIN") as copy:
                for name, slot in spec.in_time():
                    copy.write_row((name, slot.timestamp()))
        while True:
            for name, due in conn.execute("SELECT name, due FROM schedules WHERE is_enabled").fetchall():
                if due <= time.time():
                    work(name)
                    conn.execute("UPDATE schedules SET is_enabled = false WHERE name = %s", (name,))
            time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main()
