"""Passwords are kept as scrypt hashes (RFC 7914), each with a salt of its own and the cost it was made with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from threading import BoundedSemaphore

from scheduler.domain.errors import InvalidField

MIN_LENGTH = 12
MAX_LENGTH = 200
COST, BLOCK, LANES = 2**15, 8, 1
"""32 MiB and some 80 ms for each try."""
SALT_BYTES = 16
AT_ONCE = 2
"""Hashes that are made at the same time in a process, so that many tries take no more memory than two."""
LEAST_SCORE = 3
"""Of zxcvbn's 0 to 4: over 100 million guesses."""
LOOKED_AT = 72
"""Characters of a password that are estimated, which takes up to 40 ms."""


def hash_password(password: str, name: str = "") -> str:
    """`scrypt$N$r$p$SALT$HASH`. Raises InvalidField for a password that `check_password` refuses."""
    check_password(password, name)
    salt = secrets.token_bytes(SALT_BYTES)
    key = _derive(password, salt, COST, BLOCK, LANES)
    return "$".join(["scrypt", str(COST), str(BLOCK), str(LANES), _text(salt), _text(key)])


def check_password(password: str, name: str = "") -> None:
    """Refuse with InvalidField a password of the wrong length, or one that is among the first to be guessed.

    How many guesses it takes is zxcvbn's estimate (Wheeler, USENIX Security 2016): common passwords, names, repeats
    and rows of keys are known to it. `name`: whose password it is.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidField(f"The password must have {MIN_LENGTH} to {MAX_LENGTH} characters.", field="password")
    from zxcvbn import zxcvbn  # reads its lists: 60 ms, for the few who need it

    found = zxcvbn(password[:LOOKED_AT], [name, "reveille"])
    if found["score"] < LEAST_SCORE:
        why = found["feedback"]["warning"].rstrip(".")
        raise InvalidField(
            f"The password is easy to guess{': ' + why[:1].lower() + why[1:] if why else ''}. "
            "Take several words that do not belong together, or let one be made.",
            field="password",
        )


def is_password(password: str, stored: str | None) -> bool:
    """Whether `password` is the one behind `stored`. None is no password, found out in the same time."""
    _, cost, block, lanes, salt, key = (stored or NOBODY).split("$")
    derived = _derive(password[: MAX_LENGTH + 1], base64.b64decode(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(derived, base64.b64decode(key)) and stored is not None


def _derive(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    memory = 2 * 128 * cost * block
    with _TURNS:
        return hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=block, p=lanes, maxmem=memory, dklen=32
        )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


NOBODY = f"scrypt${COST}${BLOCK}${LANES}${_text(bytes(SALT_BYTES))}${_text(bytes(32))}"
_TURNS = BoundedSemaphore(AT_ONCE)
