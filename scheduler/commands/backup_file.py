"""The backup file: a tar with a manifest, the dump, and the secret key encrypted with a passphrase."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import secrets
import tarfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from scheduler.commands.exits import UsageFault

MANIFEST, DUMP, KEY = "reveille.json", "database.dump", "secret.key.sealed"
MADE_FOR = "reveille backup"
SALT_BYTES = 16
COST = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024}
"""The cost of scrypt: about a tenth of a second per guess."""


@dataclass(frozen=True)
class Manifest:
    """Describes a backup."""

    taken_at: str
    revision: str
    kind: str = MADE_FOR
    version: int = 1


def write_backup(target: Path, manifest: Manifest, dump: Path, key: str | None, passphrase: str) -> None:
    """Writes `target`, readable only by its owner, completely or not at all."""
    unfinished = target.with_name(f".{target.name}.new")
    unfinished.unlink(missing_ok=True)
    try:
        with (
            os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
            tarfile.open(fileobj=file, mode="w") as tar,
        ):
            _add(tar, MANIFEST, json.dumps(asdict(manifest), indent=2).encode())
            if key is not None:
                _add(tar, KEY, seal(key, passphrase))
            tar.add(dump, DUMP, filter=_ours)
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        os.link(unfinished, target)  # never overwrites another file
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def read_backup(source: Path, directory: Path) -> tuple[Manifest, Path, bytes | None]:
    """Returns the manifest, the dump as a file in `directory`, and the encrypted key if there is one.

    Raises UsageFault for a file that is not a backup.
    """
    try:
        with tarfile.open(source, mode="r:") as tar:
            manifest = _manifest(json.loads(_read(tar, MANIFEST)))
            sealed = _read(tar, KEY) if KEY in tar.getnames() else None
            dump = directory / DUMP
            member = tar.extractfile(DUMP)
            if member is None:
                raise KeyError(DUMP)
            with member, dump.open("wb") as target:
                while part := member.read(1 << 20):
                    target.write(part)
    except (tarfile.TarError, KeyError, ValueError, TypeError, EOFError):
        raise UsageFault(f"{source} is not a complete file written by `reveille backup`.") from None
    return manifest, dump, sealed


def seal(key: str, passphrase: str) -> bytes:
    """Encrypts the key with the passphrase."""
    salt = secrets.token_bytes(SALT_BYTES)
    return salt + _fernet(passphrase, salt).encrypt(key.encode())


def unseal(sealed: bytes, passphrase: str) -> str:
    """Decrypts the key. Raises UsageFault for a wrong passphrase."""
    try:
        return _fernet(passphrase, sealed[:SALT_BYTES]).decrypt(sealed[SALT_BYTES:]).decode()
    except InvalidToken:
        raise UsageFault("The passphrase is not the one this backup was encrypted with.") from None


def _fernet(passphrase: str, salt: bytes) -> Fernet:
    made = hashlib.scrypt(passphrase.encode("utf-8", "surrogateescape"), salt=salt, dklen=32, **COST)
    return Fernet(base64.urlsafe_b64encode(made))


def _manifest(value: Any) -> Manifest:
    manifest = Manifest(**value)
    if (manifest.kind, manifest.version) != (MADE_FOR, 1):
        raise ValueError("another kind of file")
    return manifest


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    tar.addfile(entry, io.BytesIO(content))


def _ours(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(name)
    with member:
        return member.read()
