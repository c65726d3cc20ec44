"""Hashes passwords with scrypt (RFC 7914), each with its own salt and stored cost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata
from operator import itemgetter
from threading import BoundedSemaphore

from scheduler.domain.errors import InvalidField

MIN_LENGTH = 12
MAX_LENGTH = 200
COST, BLOCK, LANES = 2**15, 8, 1
"""Costs 32 MiB and about 80 ms per attempt."""
SALT_BYTES = 16
AT_ONCE = 2
"""The concurrent hashes per process, which bounds the memory that attempts can use."""
LEAST_SCORE = 3
"""On zxcvbn's scale of 0 to 4: over 100 million guesses."""
USUAL = (
    "reveille spring summer autumn winter january february march april june july august september october november "
    "december monday tuesday wednesday thursday friday saturday sunday passwort motdepasse senha wachtwoord "
    "contraseña hasło пароль 密码 パスワード 비밀번호"
)
"""Common parts of passwords, in addition to those that zxcvbn knows."""
LOOKED_AT = 72
"""The characters of a password that are estimated, which takes up to 40 ms."""


def hash_password(password: str, name: str = "") -> str:
    """Returns `scrypt$N$r$p$SALT$HASH`. Raises InvalidField for a password that `check_password` refuses."""
    check_password(password, name)
    salt = secrets.token_bytes(SALT_BYTES)
    key = _derive(password, salt, COST, BLOCK, LANES)
    return "$".join(["scrypt", str(COST), str(BLOCK), str(LANES), _text(salt), _text(key)])


def check_password(password: str, name: str = "") -> None:
    """Raises InvalidField for a password of the wrong length or one that is easy to guess.

    The number of guesses is zxcvbn's estimate (Wheeler, USENIX Security 2016), which knows common passwords,
    names, repetitions and keyboard rows. `name`: the user's name.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidField(f"The password must have {MIN_LENGTH} to {MAX_LENGTH} characters.", field="password")
    from zxcvbn import zxcvbn  # loads its word lists in 60 ms, only where needed

    whole = _as_read(password)
    without_name = whole.casefold()
    for part in (_as_read(name).casefold(), *_as_read(name).casefold().split()):
        without_name = without_name.replace(part, "") if part else without_name
    looked_at = [whole, without_name or "a"] if len(without_name) < len(whole) else [whole]
    found = min(
        (zxcvbn(each[:LOOKED_AT], [name, *USUAL.split()]) for each in looked_at), key=itemgetter("guesses")
    )
    if found["score"] < LEAST_SCORE:
        why = found["feedback"]["warning"].rstrip(".")
        raise InvalidField(
            f"The password is easy to guess{': ' + why[:1].lower() + why[1:] if why else ''}. "
            "Use several unrelated words, or have one generated.",
            field="password",
        )


def _as_read(text: str) -> str:
    """Normalizes `text` to what people read: letters of any width alike, and nothing invisible."""
    return "".join(each for each in unicodedata.normalize("NFKC", text) if unicodedata.category(each) != "Cf")


def is_password(password: str, stored: str | None) -> bool:
    """Whether `password` matches the hash `stored`. Takes the same time when `stored` is None."""
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
