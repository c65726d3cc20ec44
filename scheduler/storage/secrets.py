"""Encrypts stored secrets with a key that is not in the database."""

from __future__ import annotations

import base64
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from scheduler.domain.errors import ConfigurationError


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
