"""Re-encrypts all stored secrets with the newest of several keys."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from scheduler.domain.errors import ConfigurationError
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox

SEALED = (
    ("agents", "runtime_secret"),
    ("agents", "mcp_secrets"),
    ("triggers", "secret"),
    ("models", "key"),
    ("channels", "secrets"),
    ("notification_targets", "secrets"),
)
"""Every column that holds a secret, as table and column."""
AT_ONCE = 500


@dataclass(slots=True)
class Resealed:
    """How many secrets were re-encrypted, already used the newest key, and cannot be decrypted with any key."""

    anew: int = 0
    newest: int = 0
    closed: int = 0


def reseal(db: Database, box: SecretBox) -> Resealed:
    """Re-encrypts every secret with the newest key of `box`, one batch per transaction: it can be interrupted and
    repeated.
    """
    counts = Resealed()
    for table, column in SEALED:
        after = None
        while True:
            with db.begin() as conn:
                rows = conn.execute(
                    text(f"""
                        SELECT id, {column} AS sealed FROM {table}
                        WHERE {column} IS NOT NULL AND (CAST(:after AS uuid) IS NULL OR id > CAST(:after AS uuid))
                        ORDER BY id LIMIT {AT_ONCE} FOR UPDATE
                    """),  # noqa: S608  # the names are ours
                    {"after": after},
                ).all()
                for row in rows:
                    sealed = _anew(box, bytes(row.sealed), counts)
                    if sealed is not None:
                        statement = f"UPDATE {table} SET {column} = :sealed WHERE id = :id"  # noqa: S608
                        conn.execute(text(statement), {"sealed": sealed, "id": row.id})
            if len(rows) < AT_ONCE:
                break
            after = rows[-1].id
    return counts


def _anew(box: SecretBox, blob: bytes, counts: Resealed) -> bytes | None:
    if box.is_newest(blob):
        counts.newest += 1
        return None
    try:
        opened = box.decrypt(blob)
    except ConfigurationError:
        counts.closed += 1
        return None
    counts.anew += 1
    return box.encrypt(opened)
