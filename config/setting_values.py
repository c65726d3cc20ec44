"""Parses and checks the text of each setting.

A ValueError says what a value must be; it never contains a secret.
"""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import NoDecode

from scheduler.domain.retention import read_days

MAKE_SECRET_KEY = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105  # a command
MIN_KEY_LENGTH = 16

_SCHEME = re.compile(r"^(postgres|postgresql|postgresql\+psycopg)://")
_WITH_PORT = re.compile(r"(?<=/)(\d+):\d+$")
_HOST = re.compile(r"^[A-Za-z0-9_.:*\[\]-]+$")


def _database_url(value: str) -> str:
    if not _SCHEME.match(value):
        raise ValueError("must be a PostgreSQL address such as postgres://user:password@host:5432/name")
    return _SCHEME.sub("postgresql://", value)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://reveille.example.org")
    return value.rstrip("/")


def read_headers(text: SecretStr | None) -> dict[str, str]:
    """Parses `name=value,…`, percent-encoded, as OpenTelemetry's variables have it. Raises ValueError."""
    parts = (text.get_secret_value() if text else "").split(",")
    pairs = [part.partition("=") for part in parts if part.strip()]
    if not all(name.strip() and separator for name, separator, _ in pairs):
        raise ValueError("must be headers such as authorization=Bearer%20KEY,x-team=ops")
    return {unquote(name.strip()): unquote(value.strip()) for name, _, value in pairs}


def _headers(value: SecretStr) -> SecretStr:
    read_headers(value)
    return value


def _key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be printable ASCII without spaces, as it is sent in a header")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < MIN_KEY_LENGTH:
        raise ValueError(f"must have at least {MIN_KEY_LENGTH} characters; generate one: {MAKE_SECRET_KEY}")
    return value


def _private_hosts(value: str) -> str:
    for part in filter(None, (part.strip() for part in value.split(","))):
        if "/" in part:
            ipaddress.ip_network(_WITH_PORT.sub(r"\1", part), strict=False)
        elif not _HOST.match(part):
            raise ValueError(f"{part!r} is neither a host nor a CIDR such as 10.0.0.0/8")
    return value


def _host_names(value: str) -> str:
    parts = [part.strip().lower() for part in value.split(",") if part.strip()]
    for part in parts:
        if not re.fullmatch(r"\*|(\*\.)?[a-z0-9_.-]+|\[?[0-9a-f:]+\]?", part):
            raise ValueError(
                f"{part!r} is not a host name: leave out scheme and port; *.example.org covers all below it"
            )
    return ",".join(parts)


def _proxies(value: str) -> str:
    parts = [part.strip() for part in value.split(",") if part.strip()]
    for part in parts:
        if part != "*":
            try:
                ipaddress.ip_network(part)
            except ValueError:
                raise ValueError(f"{part!r} is neither an IP address nor a CIDR such as 10.0.0.0/8") from None
    if "*" in parts and len(parts) > 1:
        raise ValueError("'*' trusts every address: leave the others out")
    return ",".join(parts)


def _listen_host(value: str) -> str:
    if value.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(value.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError("must be an IP address such as 127.0.0.1, or 0.0.0.0 for all of this machine") from None


def _parse_commands(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('must be JSON such as {"name": ["/path/to/program", "argument"]}') from None


def _check_commands(value: dict[str, list[str]]) -> dict[str, list[str]]:
    for name, command in value.items():
        if not command or not Path(command[0]).is_absolute():
            raise ValueError(f"{name!r} must be a list that starts with the program's absolute path")
    return value


def _retention(value: str) -> str:
    read_days(value)
    return value


def _parse_directories(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('must be JSON such as {"name": "/path/to/directory"}') from None


def _check_directories(value: dict[str, str]) -> dict[str, str]:
    for name, path in value.items():
        if not Path(path).is_absolute():
            raise ValueError(f"{name!r} must be the absolute path of a directory")
    return value


def _kind_names(value: str) -> str:
    names = [name.strip() for name in value.split(",") if name.strip()]
    if names:
        # Here, because kinds take a moment to load, also those of installed packages.
        from scheduler.triggers.registry import KINDS

        known = [name for name, kind in KINDS.items() if kind.needs_permission]
        for name in names:
            if name not in known:
                raise ValueError(f"{name!r} must be one of {', '.join(known)}, separated by commas")
    return ",".join(names)


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        size = int(TypeAdapter(ByteSize).validate_python(value))
    except ValidationError:
        size = 0
    if size < 1:
        raise ValueError("must be a size such as 20GB or 500MiB")
    return size


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _absolute(value: Path) -> Path:
    return value.expanduser().absolute()


Bytes = Annotated[int, BeforeValidator(_bytes)]
LogLevel = Annotated[Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
WorkerProcesses = Literal["auto", "one", "several"]
Commands = Annotated[
    dict[str, list[str]], NoDecode, BeforeValidator(_parse_commands), AfterValidator(_check_commands)
]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
Directories = Annotated[
    dict[str, str], NoDecode, BeforeValidator(_parse_directories), AfterValidator(_check_directories)
]
Directory = Annotated[Path, AfterValidator(_absolute)]
HostNames = Annotated[str, AfterValidator(_host_names)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
KindNames = Annotated[str, AfterValidator(_kind_names)]
Key = Annotated[SecretStr, AfterValidator(_key)]
ListenHost = Annotated[str, AfterValidator(_listen_host)]
OtlpHeaders = Annotated[SecretStr, AfterValidator(_headers)]
LongKey = Annotated[Key, AfterValidator(_long_enough)]
LongSecret = Annotated[SecretStr, AfterValidator(_long_enough)]
PrivateHosts = Annotated[str, AfterValidator(_private_hosts)]
Retention = Annotated[str, AfterValidator(_retention)]
Proxies = Annotated[str, AfterValidator(_proxies)]
