"""Stored secrets: encrypted with a key that the database does not hold."""

from __future__ import annotations

import base64
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken

from scheduler.domain.errors import ConfigurationError


class SecretBox:
    """Encrypts and decrypts under REVEILLE_SECRET_KEY, which may be any text."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(sha256(key.encode()).digest()))

    def encrypt(self, text: str) -> bytes:
        """What the database may hold."""
        return self._fernet.encrypt(text.encode())

    def decrypt(self, blob: bytes) -> str:
        """The secret again. Raises ConfigurationError when it was encrypted under another key."""
        try:
            return self._fernet.decrypt(blob).decode()
        except InvalidToken:
            raise ConfigurationError(
                "A stored secret does not open with this REVEILLE_SECRET_KEY; start with the key that stored it."
            ) from None
