"""All settings of Reveille; the only code that reads the environment.

Empty variables count as unset. Each secret can instead be given as a file, with `NAME_FILE`.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from config.installation import data_directory
from config.setting_values import (
    MAKE_SECRET_KEY,
    Bytes,
    Commands,
    DatabaseUrl,
    Directories,
    Directory,
    HostNames,
    HttpUrl,
    Key,
    KindNames,
    ListenHost,
    LogLevel,
    LongKey,
    LongSecret,
    OtlpHeaders,
    PrivateHosts,
    Proxies,
    Retention,
    WorkerProcesses,
)
from scheduler.domain.errors import ConfigurationError
from scheduler.domain.field_errors import message_of
from scheduler.domain.permissions import Permitted

SECRETS = ("DATABASE_URL", "DATABASE_DIRECT_URL", "REVEILLE_ADMIN_KEY", "REVEILLE_SECRET_KEY", "REVEILLE_API_KEY")
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""A name of prometheus_client's."""
_KUBERNETES = re.compile(
    r"^REVEILLE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)


def reachable_host(host: str | None) -> str:
    """Returns the address by which this machine reaches a server that listens on `host`."""
    if host is None or ipaddress.ip_address(host).is_unspecified:
        return "127.0.0.1"
    return host


def own_url(host: str | None, port: int) -> str:
    """Returns the address by which this machine reaches a server on `host` and `port`."""
    reached = reachable_host(host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


class Settings(BaseSettings):
    """The operator's settings. `load_settings` creates them; `Settings()` alone holds the defaults."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, case_sensitive=True, env_ignore_empty=True
    )

    database_url: DatabaseUrl | None = Field(None, validation_alias="DATABASE_URL", repr=False)
    direct_url: DatabaseUrl | None = Field(None, validation_alias="DATABASE_DIRECT_URL", repr=False)
    port: int = Field(8080, ge=1, le=65535, validation_alias="PORT")
    host: ListenHost | None = Field(None, validation_alias="REVEILLE_HOST")
    web_concurrency: int = Field(1, ge=1, le=64, validation_alias="WEB_CONCURRENCY")
    data_dir: Directory = Field(
        default_factory=data_directory, validate_default=True, validation_alias="REVEILLE_DATA_DIR"
    )
    admin_key: LongKey | None = Field(None, validation_alias="REVEILLE_ADMIN_KEY")
    secret_key: LongSecret | None = Field(None, validation_alias="REVEILLE_SECRET_KEY")
    allow_private_hosts: PrivateHosts = Field("", validation_alias="REVEILLE_ALLOW_PRIVATE_HOSTS")
    commands: Commands = Field(default_factory=dict, validation_alias="REVEILLE_COMMANDS")
    mcp_commands: Commands = Field(default_factory=dict, validation_alias="REVEILLE_MCP_COMMANDS")
    checks: Commands = Field(default_factory=dict, validation_alias="REVEILLE_CHECKS")
    file_roots: Directories = Field(default_factory=dict, validation_alias="REVEILLE_FILE_ROOTS")
    agent_kinds: KindNames = Field("", validation_alias="REVEILLE_AGENT_KINDS")
    public_url: HttpUrl | None = Field(None, validation_alias="REVEILLE_PUBLIC_URL")
    allowed_hosts: HostNames = Field("", validation_alias="REVEILLE_ALLOWED_HOSTS")
    trusted_proxies: Proxies = Field("", validation_alias="REVEILLE_TRUSTED_PROXIES")
    url: HttpUrl = Field(
        default_factory=lambda data: own_url(data.get("host"), data["port"]), validation_alias="REVEILLE_URL"
    )
    api_key: Key | None = Field(None, validation_alias="REVEILLE_API_KEY")
    retention: Retention = Field("", validation_alias="REVEILLE_RETENTION")
    canary: bool = Field(default=True, validation_alias="REVEILLE_CANARY")
    worker_processes: WorkerProcesses = Field("auto", validation_alias="REVEILLE_WORKER_PROCESSES")
    metrics_port: int = Field(9464, ge=0, le=65535, validation_alias="REVEILLE_METRICS_PORT")
    database_limit: Bytes | None = Field(None, validation_alias="REVEILLE_DATABASE_LIMIT")
    otlp_endpoint: HttpUrl | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    otlp_headers: OtlpHeaders | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", validation_alias="REVEILLE_CURRENCY")
    log_level: LogLevel = Field("INFO", validation_alias="REVEILLE_LOG_LEVEL")
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
        """Takes values from the constructor only; `load_settings` passes those of the environment."""
        return (init_settings,)

    @property
    def is_local(self) -> bool:
        """Whether the web server listens on loopback only, which means a personal machine."""
        return self.host is not None and ipaddress.ip_address(self.host).is_loopback

    @property
    def libpq_url(self) -> str:
        """`postgresql://…` for psycopg and Procrastinate; raises ConfigurationError without a database."""
        if self.database_url is None:
            raise ConfigurationError(
                "DATABASE_URL is not set: only `reveille run` starts its own PostgreSQL; set it to the "
                "address of one."
            )
        return self.database_url

    @property
    def sqlalchemy_url(self) -> str:
        """`postgresql+psycopg://…` for SQLAlchemy; raises ConfigurationError without a database."""
        return self.libpq_url.replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def listen_url(self) -> str:
        """`postgresql://…` bypassing a pooler, for LISTEN and for PostgreSQL's programs."""
        return self.direct_url or self.libpq_url

    @property
    def permitted(self) -> Permitted:
        """What triggers may access on this machine, and which kinds agents may create."""
        return Permitted(self.checks, self.file_roots, frozenset(filter(None, self.agent_kinds.split(","))))

    def for_server(self) -> Self:
        """Returns these settings if a web, worker or migrate process can run with them; else raises
        ConfigurationError.
        """
        _ = self.libpq_url
        if self.secret_key is None:
            raise ConfigurationError(
                "REVEILLE_SECRET_KEY is required with DATABASE_URL (it encrypts stored "
                f"secrets); generate one: {MAKE_SECRET_KEY}"
            )
        return self


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Loads the settings from `environ` (default: the process's own environment).

    A bad value raises a one-line ConfigurationError. `unknown_settings` reports unknown names.
    """
    variables = dict(os.environ if environ is None else environ)  # noqa: TID251  # the one place
    for name in SECRETS:
        _read_secret_file(variables, name)
    source = EnvSettingsSource(Settings)
    source.env_vars = {name: value.strip() for name, value in variables.items() if value.strip()}
    try:
        settings = Settings(**source())
    except ValidationError as error:
        raise ConfigurationError(_one_line(error)) from None
    if settings.direct_url is not None and settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_DIRECT_URL is set without DATABASE_URL: set both, or only DATABASE_URL without a pooler."
        )
    return settings


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
    """Describes the first bad value, without the value itself, which may be secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    name, *inside = (str(part) for part in first["loc"])
    reason = message_of(first)
    return f"{name}: {': '.join([*inside, reason[0].lower() + reason[1:]])}."


def read_variable(name: str) -> str | None:
    """Reads a variable that an operator named as holding a model's key; returns None for Reveille's own secrets."""
    own = name.startswith("REVEILLE_") or name.removesuffix("_FILE") in SECRETS
    return None if own else os.environ.get(name)  # noqa: TID251  # the one place


def share_metrics(directory: str) -> None:
    """Lets the processes of a web server, begun after this, count in files of one directory, and any of them show all.

    It must come before `prometheus_client` is imported.
    """
    os.environ[SHARED_METRICS] = directory  # noqa: TID251


def with_shared_metrics(directory: str) -> dict[str, str]:
    """Returns the variables of a child process that shares its counters in this directory, instead of serving them."""
    return {SHARED_METRICS: directory, "REVEILLE_METRICS_PORT": "0"}


def shared_metrics() -> str | None:
    """Returns that directory; None for a process that counts for itself."""
    return os.environ.get(SHARED_METRICS)  # noqa: TID251


def unknown_settings() -> list[str]:
    """Returns a line for each unknown REVEILLE_* variable of this process."""
    return list(unknown_names(os.environ))  # noqa: TID251  # the one place


def known_names() -> frozenset[str]:
    """Returns every variable that Reveille reads."""
    names = {str(field.validation_alias) for field in Settings.model_fields.values()}
    return frozenset(names | {f"{name}_FILE" for name in SECRETS})


def unknown_names(variables: Mapping[str, Any]) -> Iterator[str]:
    """Returns a warning for each unknown REVEILLE_* name, except those that Kubernetes sets."""
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
    """Whether Kubernetes set this variable for a service called reveille…; REVEILLE_PORT=9000 is a mistake."""
    return bool(_KUBERNETES.match(name)) and not (name == "REVEILLE_PORT" and value.isdigit())


def child_environment(settings: Settings) -> dict[str, str]:
    """Returns our environment with the database and key of `settings`, without unknown names, which were reported
    already.
    """
    unknown = {warning.partition(" ")[0] for warning in unknown_settings()}
    variables = {name: value for name, value in os.environ.items() if name not in unknown}  # noqa: TID251
    chosen = {"REVEILLE_DATA_DIR": str(settings.data_dir), "PORT": str(settings.port)}
    if settings.host is not None:
        chosen["REVEILLE_HOST"] = settings.host
    if settings.commands:
        chosen["REVEILLE_COMMANDS"] = json.dumps(settings.commands)
    if settings.database_url is not None:
        chosen["DATABASE_URL"] = settings.database_url
    if settings.secret_key is not None:
        chosen["REVEILLE_SECRET_KEY"] = settings.secret_key.get_secret_value()
    for name in chosen:
        variables.pop(f"{name}_FILE", None)
    return {**variables, **chosen}
