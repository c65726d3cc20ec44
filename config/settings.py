"""Every setting of Reveille, and the only place that reads the environment.

Empty variables count as unset. Each secret may instead be given as a file, by `NAME_FILE`.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from scheduler.domain.errors import ConfigurationError

LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

SECRETS = ("DATABASE_URL", "REVEILLE_ADMIN_KEY", "REVEILLE_SECRET_KEY", "REVEILLE_API_KEY")
MAKE_SECRET_KEY = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105  # a command
MIN_KEY_LENGTH = 16

_SCHEME = re.compile(r"^(postgres|postgresql|postgresql\+psycopg)://")
_WITH_PORT = re.compile(r"(?<=/)(\d+):\d+$")
_HOST = re.compile(r"^[A-Za-z0-9_.:*\[\]-]+$")
_KUBERNETES = re.compile(
    r"^REVEILLE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)


def _database_url(value: str) -> str:
    if not _SCHEME.match(value):
        raise ValueError("must be a PostgreSQL address such as postgres://user:password@host:5432/name")
    return _SCHEME.sub("postgresql://", value)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://reveille.example.org")
    return value.rstrip("/")


def _key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be printable ASCII without spaces, for it travels in a header")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < MIN_KEY_LENGTH:
        raise ValueError(f"must have at least {MIN_KEY_LENGTH} characters; make one: {MAKE_SECRET_KEY}")
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


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _absolute(value: Path) -> Path:
    return value.expanduser().absolute()


Commands = Annotated[
    dict[str, list[str]], NoDecode, BeforeValidator(_parse_commands), AfterValidator(_check_commands)
]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Key = Annotated[SecretStr, AfterValidator(_key)]


class Settings(BaseSettings):
    """What the operator decided. Made by `load_settings`; `Settings()` alone holds the defaults."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, case_sensitive=True, env_ignore_empty=True
    )

    database_url: Annotated[str, AfterValidator(_database_url)] | None = Field(
        None, validation_alias="DATABASE_URL", repr=False
    )
    port: int = Field(8080, ge=1, le=65535, validation_alias="PORT")
    web_concurrency: int = Field(1, ge=1, le=64, validation_alias="WEB_CONCURRENCY")
    data_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default=Path("var"), validate_default=True, validation_alias="REVEILLE_DATA_DIR"
    )
    admin_key: Annotated[Key, AfterValidator(_long_enough)] | None = Field(
        None, validation_alias="REVEILLE_ADMIN_KEY"
    )
    secret_key: Annotated[SecretStr, AfterValidator(_long_enough)] | None = Field(
        None, validation_alias="REVEILLE_SECRET_KEY"
    )
    allow_private_hosts: Annotated[str, AfterValidator(_private_hosts)] = Field(
        "", validation_alias="REVEILLE_ALLOW_PRIVATE_HOSTS"
    )
    commands: Commands = Field(default_factory=dict, validation_alias="REVEILLE_COMMANDS")
    mcp_commands: Commands = Field(default_factory=dict, validation_alias="REVEILLE_MCP_COMMANDS")
    public_url: HttpUrl | None = Field(None, validation_alias="REVEILLE_PUBLIC_URL")
    allowed_hosts: Annotated[str, AfterValidator(_host_names)] = Field(
        "", validation_alias="REVEILLE_ALLOWED_HOSTS"
    )
    trusted_proxies: Annotated[str, AfterValidator(_proxies)] = Field(
        "", validation_alias="REVEILLE_TRUSTED_PROXIES"
    )
    url: HttpUrl = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data['port']}", validation_alias="REVEILLE_URL"
    )
    api_key: Key | None = Field(None, validation_alias="REVEILLE_API_KEY")
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", validation_alias="REVEILLE_CURRENCY")
    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = Field("INFO", validation_alias="REVEILLE_LOG_LEVEL")
    log_json: bool = Field(default=False, validation_alias="REVEILLE_LOG_JSON")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor only; `load_settings` hands it those of the environment."""
        return (init_settings,)

    @property
    def libpq_url(self) -> str:
        """`postgresql://…` for psycopg and Procrastinate; ConfigurationError without a database."""
        if self.database_url is None:
            raise ConfigurationError(
                "DATABASE_URL is not set: only `reveille run` brings its own PostgreSQL; give the address of one."
            )
        return self.database_url

    @property
    def sqlalchemy_url(self) -> str:
        """`postgresql+psycopg://…` for SQLAlchemy; ConfigurationError without a database."""
        return self.libpq_url.replace("postgresql://", "postgresql+psycopg://", 1)

    def for_server(self) -> Self:
        """These settings, if a web, worker or migrate process can run on them; else ConfigurationError."""
        _ = self.libpq_url
        if self.secret_key is None:
            raise ConfigurationError(
                "REVEILLE_SECRET_KEY is required with DATABASE_URL (it encrypts stored secrets); "
                f"make one: {MAKE_SECRET_KEY}"
            )
        return self


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in `environ` (default: the process's own environment).

    A bad value raises ConfigurationError with one line. Unknown names are `unknown_settings`'.
    """
    variables = dict(os.environ if environ is None else environ)  # noqa: TID251  # the one place
    for name in SECRETS:
        _read_secret_file(variables, name)
    source = EnvSettingsSource(Settings)
    source.env_vars = {name: value.strip() for name, value in variables.items() if value.strip()}
    try:
        return Settings(**source())
    except ValidationError as error:
        raise ConfigurationError(_one_line(error)) from None


def _read_secret_file(variables: dict[str, str], name: str) -> None:
    path = variables.get(f"{name}_FILE", "")
    if not path:
        return
    if variables.get(name):
        raise ConfigurationError(f"{name} and {name}_FILE are both set; keep one of them.")
    try:
        variables[name] = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{name}_FILE: {path} cannot be read: {reason}.") from None
    if not variables[name]:
        raise ConfigurationError(f"{name}_FILE: {path} is empty.")


def _one_line(error: ValidationError) -> str:
    """The first bad value. Never shows the value itself, for it may be a secret."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name, *inside = (str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    return f"{name}: {': '.join([*inside, reason[0].lower() + reason[1:]])}."


def read_variable(name: str) -> str | None:
    """A variable that an operator named as holding a model's key. Reveille's own secrets are nobody's key: None."""
    own = name.startswith("REVEILLE_") or name.removesuffix("_FILE") in SECRETS
    return None if own else os.environ.get(name)  # noqa: TID251  # the one place


def unknown_settings() -> list[str]:
    """A line for each REVEILLE_* variable of this process that means nothing to Reveille."""
    return list(unknown_names(os.environ))  # noqa: TID251  # the one place


def known_names() -> frozenset[str]:
    """Every variable that Reveille reads."""
    names = {str(field.validation_alias) for field in Settings.model_fields.values()}
    return frozenset(names | {f"{name}_FILE" for name in SECRETS})


def unknown_names(variables: Mapping[str, Any]) -> Iterator[str]:
    """One warning for each REVEILLE_* name that means nothing here; Kubernetes' own are passed over."""
    known = known_names()
    for name in sorted(variables):
        if not name.startswith("REVEILLE_") or name in known or _is_injected(name, str(variables[name])):
            continue
        near = difflib.get_close_matches(name.removeprefix("REVEILLE_"), _short_names(known), n=1, cutoff=0.6)
        hint = f"; did you mean {_short_names(known)[near[0]]}?" if near else ""
        yield f"{name} is not a setting of Reveille{hint}"


def _short_names(known: frozenset[str]) -> dict[str, str]:
    return {name.removeprefix("REVEILLE_"): name for name in known}


def _is_injected(name: str, value: str) -> bool:
    """Whether Kubernetes made this variable for a service called reveille…; REVEILLE_PORT=9000 is a mistake."""
    return bool(_KUBERNETES.match(name)) and not (name == "REVEILLE_PORT" and value.isdigit())


def child_environment(settings: Settings) -> dict[str, str]:
    """Ours, with the database and the key of `settings`, without unknown names: this process has warned of them."""
    unknown = {warning.partition(" ")[0] for warning in unknown_settings()}
    variables = {name: value for name, value in os.environ.items() if name not in unknown}  # noqa: TID251
    chosen = {"REVEILLE_DATA_DIR": str(settings.data_dir), "PORT": str(settings.port)}
    if settings.commands:
        chosen["REVEILLE_COMMANDS"] = json.dumps(settings.commands)
    if settings.database_url is not None:
        chosen["DATABASE_URL"] = settings.database_url
    if settings.secret_key is not None:
        chosen["REVEILLE_SECRET_KEY"] = settings.secret_key.get_secret_value()
    for name in chosen:
        variables.pop(f"{name}_FILE", None)
    return {**variables, **chosen}
