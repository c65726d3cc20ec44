"""Encrypts stored secrets with a key that is not in the database, and re-encrypts them with the newest of several."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import text

from scheduler.domain.errors import ConfigurationError
from scheduler.storage.engine import Database

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


class SecretBox:
    """Encrypts and decrypts with REVEILLE_SECRET_KEY: one key, or several separated by commas, newest first.

    The newest key encrypts and any key decrypts. The whole text is tried as a key too, since a single key may
    contain commas.
    """

    def __init__(self, keys: str) -> None:
        parts = [part.strip() for part in keys.split(",") if part.strip()] or [keys]
        self._newest = _fernet(parts[0])
        self._all = MultiFernet([_fernet(key) for key in dict.fromkeys([*parts, keys])])

    def encrypt(self, text: str) -> bytes:
        """Encrypts a secret for the database."""
        return self._newest.encrypt(text.encode())

    def decrypt(self, blob: bytes) -> str:
        """Decrypts a secret. Raises ConfigurationError when it was encrypted with another key."""
        try:
            return self._all.decrypt(blob).decode()
        except InvalidToken:
            raise ConfigurationError(
                "A stored secret cannot be decrypted with this REVEILLE_SECRET_KEY; start with the key "
                "that encrypted it."
            ) from None

    def is_newest(self, blob: bytes) -> bool:
        """Whether a secret is encrypted with the newest key."""
        try:
            self._newest.decrypt(blob)
        except InvalidToken:
            return False
        return True


def _fernet(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(sha256(key.encode()).digest()))


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
