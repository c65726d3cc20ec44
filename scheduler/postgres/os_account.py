"""Chooses the account that the embedded PostgreSQL runs under, as the server refuses to run as root.

As root, it runs as the owner of its data, or at first as a system account created for it. When that account cannot
enter the directories leading to the data or the programs (a checkout in /root, say), the server keeps one Linux
capability that lets it pass, instead of us opening those directories to everyone.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scheduler.domain.errors import ConfigurationError

SYSTEM_ACCOUNT = "reveille"
CAPABILITIES = ("dac_read_search", "dac_override")
"""Either one is enough to pass: the first only reads, the second is what containers usually keep."""

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""The only variables that the server's processes get: none of our secrets, none of the user's PG… variables."""


@dataclass(frozen=True)
class Account:
    """A user, and how to start a process as that user: with `prefix`, or by changing the user when we are root."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The account's name, or its number when it has no name."""
        return user_name(self.uid)

    def start(self, *command: str | Path, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Starts `command` as this user in a new session, so that Ctrl-C on the console does not reach it."""
        switch = os.geteuid() == 0 and not self.prefix
        return subprocess.Popen(
            [*self.prefix, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            user=self.uid if switch else None,
            group=self.gid if switch else None,
            extra_groups=[] if switch else None,
        )

    def run(self, *command: str | Path) -> tuple[int, str]:
        """Runs `command` and returns its exit status and output. Raises OSError when it cannot start."""
        process = self.start(*command, output=subprocess.PIPE)
        output, _ = process.communicate()
        return process.returncode, output.decode(errors="replace").strip()

    def can_use(self, *paths: Path) -> bool:
        """Whether this user may execute or enter each of `paths`."""
        try:
            return all(self.run("test", "-x", path)[0] == 0 for path in paths)
        except OSError:
            return False


def user_name(uid: int) -> str:
    """Returns a user's name, or the number when it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def choose_account(data: Path, *paths: Path) -> Account:
    """Chooses the account: the owner of `data` if it exists already. `paths` must be traversable.

    Raises ConfigurationError with a remedy when there is no such account.
    """
    me = os.geteuid()
    owner = data.stat() if data.exists() else None
    if me != 0:
        if owner and owner.st_uid != me:
            raise ConfigurationError(
                f"The database in {data} belongs to {user_name(owner.st_uid)}: "
                f"run as that user, or: sudo chown -R {user_name(me)} '{data}'"
            )
        return Account(me, os.getegid())
    if owner is None:
        account = _system_account()
    elif owner.st_uid != 0:
        account = Account(owner.st_uid, owner.st_gid)
    else:
        account = _system_account()
        raise ConfigurationError(
            f"The database in {data} belongs to root, as which PostgreSQL refuses to run: "
            f"chown -R {account.name} '{data}'"
        )
    return _passing(account, paths)


def _passing(account: Account, paths: tuple[Path, ...]) -> Account:
    for candidate in _ways(account):
        if candidate.can_use(*paths):
            return candidate
    closed = next((path for path in paths if not account.can_use(path)), paths[0])
    raise ConfigurationError(
        f"PostgreSQL does not run as root but as {account.name}, who may not enter {closed.parent}: "
        "run Reveille as an ordinary user, or from a directory that everyone may enter, such as /opt/reveille."
    )


def _ways(account: Account) -> Iterator[Account]:
    yield account
    setpriv = shutil.which("setpriv", path=os.defpath)
    if setpriv is None:
        return
    for capability in CAPABILITIES:
        only = f"-all,+{capability}"
        yield Account(
            account.uid,
            account.gid,
            (
                setpriv,
                f"--reuid={account.uid}",
                f"--regid={account.gid}",
                "--clear-groups",
                # otherwise access(2), which PostgreSQL calls, would ignore the capability
                "--securebits=+no_setuid_fixup",
                f"--bounding-set={only}",
                f"--inh-caps={only}",
                f"--ambient-caps={only}",
            ),
        )


def _system_account() -> Account:
    try:
        entry = pwd.getpwnam(SYSTEM_ACCOUNT)
    except KeyError:
        entry = _make_system_account()
    return Account(entry.pw_uid, entry.pw_gid)


def _make_system_account() -> pwd.struct_passwd:
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        SYSTEM_ACCOUNT,
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
        return pwd.getpwnam(SYSTEM_ACCOUNT)
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and no system account {SYSTEM_ACCOUNT!r} could be created "
            f"for it: run Reveille as an ordinary user, or: {' '.join(command)}"
        ) from None
