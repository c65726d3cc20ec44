"""The texts of the settings page: `python -m tools.reference` generates its table from this."""

from __future__ import annotations

from typing import NamedTuple


class Said(NamedTuple):
    """The text of a setting."""

    meaning: str
    read_by: str
    default: str | None = None
    """In words, if it is not a plain value."""


SAID = {
    "database_url": Said(
        "the PostgreSQL to use, `postgres://user:password@host:5432/name`",
        "`run`, `web`, `worker`, `migrate`, `doctor`",
        "a PostgreSQL of its own, with `run`",
    ),
    "direct_url": Said(
        "the same database without a [pooler](operations.md#connections-to-the-database) such as "
        "PgBouncer: for LISTEN, `backup` and `restore`",
        "`run`, `web`, `worker`, `doctor`",
        "none",
    ),
    "port": Said(
        "the port of the web server",
        "`run`, `web`, `doctor`",
    ),
    "host": Said(
        "the IP address that the web server listens on; `0.0.0.0` is every IPv4 address of the "
        "machine, `::` every address. With a loopback address, only this machine can reach "
        "Reveille, and agents, models and MCP servers may be on it without "
        "`REVEILLE_ALLOW_PRIVATE_HOSTS`; polls and notification targets may not",
        "`run`, `web`, `worker`, `doctor`",
        "with `run` `127.0.0.1`, with `web` `0.0.0.0`",
    ),
    "web_concurrency": Said(
        "the number of web server processes, each with 32 threads",
        "`run`, `web`",
    ),
    "data_dir": Said(
        "the directory of the embedded PostgreSQL and the secret key. If Reveille was installed "
        "from a wheel, the default is the platform's usual directory, such as "
        "`~/.local/share/reveille`, for root `/var/lib/reveille`",
        "`run`, `doctor`",
        "`./var`",
    ),
    "admin_key": Said(
        "an operator's admin key of your choice, at least 16 characters; added at the start if it "
        "does not exist yet",
        "`run`, `migrate`",
        "one is generated and printed once",
    ),
    "secret_key": Said(
        "encrypts stored secrets; at least 16 characters; several, newest first, separated by "
        "commas, while [you replace one](operations.md#another-secret-key). It must be the same in "
        "all processes and must be kept: without it, stored secrets are lost",
        "`run`, `web`, `worker`, `migrate`, `doctor`",
        "`secret.key` in the data directory; required with `DATABASE_URL`",
    ),
    "allow_private_hosts": Said(
        "private hosts, addresses and networks that agents, polls and models may use, each with a "
        "`:port` or for all ports, separated by commas: [network](network.md)",
        "`run`, `web`, `worker`, `check-url`",
        "none",
    ),
    "commands": Said(
        "programs for the runtime `command`: [runtimes](runtimes.md#command)",
        "`run`, `web`, `worker`",
        "none",
    ),
    "mcp_commands": Said(
        "programs that are MCP servers: [their tools](mcp-servers.md)",
        "`run`, `web`, `worker`",
        "none",
    ),
    "checks": Said(
        "programs for triggers of type `check`, in JSON as for `REVEILLE_COMMANDS`: [check](triggers/check.md)",
        "`run`, `web`, `worker`",
        "none",
    ),
    "file_roots": Said(
        'directories that triggers of type `file` may watch, in JSON: `{"inbox": "/srv/inbox"}`: '
        "[file](triggers/file.md)",
        "`run`, `web`, `worker`",
        "none",
    ),
    "agent_kinds": Said(
        "which of `check`, `file`, `email`, `queue` and such kinds of installed packages agents may create "
        "themselves, separated by commas; people always may",
        "`run`, `web`, `worker`",
        "none",
    ),
    "public_url": Said(
        "the address by which others reach the web server, such as `https://reveille.example.org`; "
        "each `hook_url`, `events_url` and `complete_url` starts with it. Set it behind a proxy, "
        "and when web and worker run on different machines",
        "`run`, `web`, `worker`",
        "the address of the request; for `complete_url` the value of `REVEILLE_URL`",
    ),
    "allowed_hosts": Said(
        "host names that requests to the web server may use, in addition to loopback and the host "
        "of `REVEILLE_PUBLIC_URL`, separated by commas; `*.example.org` allows all names below it, "
        "`*` any name. A request with another name gets 400, because the name would appear in "
        "`hook_url`. With `REVEILLE_PUBLIC_URL` and no list, any name is accepted",
        "`run`, `web`",
        "none",
    ),
    "trusted_proxies": Said(
        "addresses and networks of reverse proxies, separated by commas, whose `X-Forwarded-For` "
        "and `X-Forwarded-Proto` are trusted; `*` trusts every client, for networks where only a "
        "proxy can connect: [slow clients](operations.md#slow-clients-and-proxies)",
        "`run`, `web`",
        "none",
    ),
    "url": Said(
        "the service that the console client calls",
        "[console client](cli.md#console-client), `run`, `worker`",
        "`http://127.0.0.1:PORT`",
    ),
    "api_key": Said(
        "the key that the console client uses",
        "console client",
        "none",
    ),
    "retention": Said(
        "[how long history is kept](operations.md#how-long-history-is-kept), in days, such as "
        "`firings=30,audit=0`; 0 means forever; what is not listed keeps its default",
        "`run`, `web`, `worker`, `prune`",
        "90 days of firings, invocations and notifications, 30 of deliveries, 365 of messages and audit",
    ),
    "canary": Said(
        "whether the [canary](operations.md#the-canary) times the way from a slot to an end each "
        "minute; the same for all workers",
        "`run`, `worker`",
    ),
    "worker_processes": Said(
        "`several`: the scheduler, jobs of tenants with few due and jobs of those with many each have a process "
        "of their own in a worker, so that [nobody waits for a flood](operations.md#fair-shares). `one`: they "
        "share one. `auto`: one if the database allows fewer than 50 "
        "[connections](operations.md#connections-to-the-database), else several",
        "`run`, `worker`",
    ),
    "metrics_port": Said(
        "the port on which a worker shows its [metrics](metrics.md), on the address `REVEILLE_HOST`"
        " or, without it, on loopback; a port in use is skipped for the next, up to the tenth, so "
        "that several workers of one machine all have one. `0`: none",
        "`run`, `worker`",
    ),
    "database_limit": Said(
        "how large the database may get, such as `20GB`: at 90 % of it the [alert](alerts.md) "
        "`disk_low` opens. The free space of another server's disk is not known, so set this there",
        "`run`, `web`, `worker`",
        "none",
    ),
    "otlp_endpoint": Said(
        "where [traces](tracing.md) are exported, such as `http://collector:4318`; needs the extra `otel`",
        "`run`, `worker`",
        "none",
    ),
    "otlp_headers": Said(
        "headers for it, such as `authorization=Bearer%20KEY`",
        "`run`, `worker`",
        "none",
    ),
    "currency": Said(
        "the currency of the models' prices, in three letters (ISO 4217); the pages show it beside "
        "prices and costs",
        "`run`, `web`",
    ),
    "log_level": Said(
        "`TRACE`, `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`",
        "`run`, `web`, `worker`, `migrate`",
    ),
    "log_json": Said(
        "`true`: one JSON object per line. Otherwise lines for people, where a repeated warning is "
        "printed once a minute with its count",
        "`run`, `web`, `worker`, `migrate`",
    ),
}
