"""The `command` runtime with real programs: their input, the meaning of their ends, and that nothing of them
remains.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import Failed, Outcome, Replied, RunRequest, RuntimeSpec
from scheduler.runtimes import command as command_module
from scheduler.runtimes.registry import make_runtime
from tests.support.runs import make_parts, make_request

PATIENCE = 20.0


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def shell(code: str) -> list[str]:
    return ["/bin/sh", "-c", code]


async def run_command(command: list[str], timeout: float = PATIENCE, request: RunRequest | None = None) -> Outcome:
    async with make_parts({"it": command}) as parts:
        spec = RuntimeSpec("command", {"name": "it"}, None, timeout)
        return await make_runtime(spec, parts).run(request or make_request())


def outcome_of(command: list[str], timeout: float = PATIENCE) -> Outcome:
    return asyncio.run(run_command(command, timeout))


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def pids_in(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_the_program_gets_the_request_as_json_on_stdin() -> None:
    request = make_request()
    outcome = asyncio.run(run_command(["/bin/cat"], request=request))
    assert isinstance(outcome, Replied)
    assert RunRequest.model_validate_json(outcome.text) == request


def test_the_output_without_the_last_line_end_is_the_reply() -> None:
    assert outcome_of(shell("echo one; echo two; echo; echo not this >&2")) == Replied("one\ntwo")
    assert outcome_of(shell("true")) == Replied("")
    assert outcome_of(shell(r"printf '\377'")) == Replied("ÿ")


def test_arguments_of_the_allow_list_are_passed_as_they_are() -> None:
    assert outcome_of(["/bin/echo", "a b", "$HOME", "*"]) == Replied("a b $HOME *")


def test_a_program_that_does_not_read_its_input_is_no_failure() -> None:
    request = make_request(context="x" * 5_000_000)
    assert asyncio.run(run_command(shell("echo done"), request=request)) == Replied("done")


def test_a_program_that_prints_before_it_reads_does_not_hang() -> None:
    command = python("""
        import sys
        sys.stdout.write("x" * 500_000)
        sys.stdout.flush()
        print(len(sys.stdin.read()))
    """)
    request = make_request(context="y" * 500_000)
    outcome = asyncio.run(run_command(command, request=request))
    assert isinstance(outcome, Replied)
    assert outcome.text == "x" * 500_000 + str(len(request.to_json().decode()))


def test_a_reply_of_ten_megabytes_is_cut_and_is_a_success() -> None:
    outcome = outcome_of(python("print('x' * 10_000_000)"))
    assert outcome == Replied("x" * 1024 * 1024, truncated=True)


def test_the_end_of_stderr_is_the_error() -> None:
    outcome = outcome_of(python("import sys; sys.stderr.write('x' * 100_000 + ' the end'); sys.exit(3)"))
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("it ended with status 3: xxx")
    assert outcome.error.endswith("the end")
    assert len(outcome.error) < 5000


@pytest.mark.parametrize(
    ("command", "permanent", "says"),
    [
        (shell("exit 1"), False, "it ended with status 1."),
        (shell("exit 75"), False, "it ended with status 75."),
        (shell("exit 64"), True, "it ended with status 64 (used wrongly)."),
        (shell("exit 65"), True, "it ended with status 65 (given wrong data)."),
        (shell("exit 78"), True, "it ended with status 78 (configured wrongly)."),
        (shell("kill -9 $$"), False, "it was ended by signal 9."),
        (["/no/such/program"], True, "it ended with status 127 (not found): /no/such/program: No such file"),
        (["/etc/passwd"], True, "it ended with status 126 (not executable): /etc/passwd: Permission denied"),
    ],
)
def test_a_failure_is_retried_unless_the_program_says_that_it_cannot_help(
    command: list[str], permanent: bool, says: str
) -> None:
    outcome = outcome_of(command)
    assert isinstance(outcome, Failed)
    assert outcome.permanent == permanent
    assert outcome.error.startswith(says)


def test_a_program_gets_no_variable_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVEILLE_SECRET_KEY", "secret")
    outcome = outcome_of(python("import json, os; print(json.dumps(dict(os.environ)))"))
    assert isinstance(outcome, Replied)
    assert set(json.loads(outcome.text)) <= {"PATH", "HOME", "LANG", "LC_CTYPE", "PWD"}


def test_a_program_inherits_no_open_file() -> None:
    with Path(os.devnull).open() as held:
        os.set_inheritable(held.fileno(), True)
        outcome = outcome_of(python("import os; print(sorted(map(int, os.listdir('/dev/fd')))[:4])"))
    assert isinstance(outcome, Replied)
    assert outcome.text == "[0, 1, 2, 3]", "3 is the listing itself"
    more = outcome_of(python("import os; print(len(os.listdir('/dev/fd')))"))
    assert more == Replied("4")


@pytest.mark.parametrize("name", ["other", "", None, 5])
def test_a_name_that_is_not_on_the_allow_list_is_a_configuration_error(name: object) -> None:
    async def run() -> None:
        async with make_parts({"it": ["/bin/true"]}) as parts:
            make_runtime(RuntimeSpec("command", {"name": name}, None, 1.0), parts)

    with pytest.raises(ConfigurationError, match="REVEILLE_COMMANDS"):
        asyncio.run(run())


FAMILY = """
    import os, signal, subprocess, sys, time
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=apart)
        for apart in (False, sys.platform == "linux")
    ]
    for child in children:
        child.stdout.readline()
    with open({path!r} + ".new", "w") as file:
        print(os.getpid(), *(child.pid for child in children), file=file)
    os.rename({path!r} + ".new", {path!r})
    {then}
"""


def family(path: Path, then: str) -> list[str]:
    """A program with two children that ignore SIGTERM; on Linux, one of them in its own session."""
    return python(FAMILY.format(path=str(path), then=then))


def test_a_program_that_hangs_is_killed_at_its_timeout_with_all_its_children(tmp_path: Path) -> None:
    outcome = outcome_of(family(tmp_path / "pids", "time.sleep(600)"), timeout=3.0)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("timeout", False)
    pids = pids_in(tmp_path / "pids")
    assert len(pids) == 3
    assert all(map(is_gone, pids))


def test_a_program_that_ends_leaves_no_children_behind(tmp_path: Path) -> None:
    assert outcome_of(family(tmp_path / "pids", "print('done')")) == Replied("done")
    pids = pids_in(tmp_path / "pids")
    assert len(pids) == 3
    assert all(map(is_gone, pids))


def test_a_cancelled_run_leaves_nothing_behind(tmp_path: Path) -> None:
    async def run() -> None:
        running = asyncio.ensure_future(run_command(family(tmp_path / "pids", "time.sleep(600)")))
        await asyncio.to_thread(wait_for, (tmp_path / "pids").exists, "the program's start")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert all(map(is_gone, pids_in(tmp_path / "pids")))


def test_a_run_that_is_cancelled_at_once_leaves_nothing_behind() -> None:
    async def run() -> None:
        for turns in range(12):
            running = asyncio.ensure_future(run_command(["/bin/sleep", "612.34"]))
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    asyncio.run(run())
    left = [each for each in psutil.process_iter(["cmdline"]) if "612.34" in (each.info["cmdline"] or ())]
    assert left == []


def test_sigterm_lets_a_program_end_by_itself(tmp_path: Path) -> None:
    trap = f"trap 'echo bye > {tmp_path}/bye; exit 0' TERM; echo > {tmp_path}/up; while :; do sleep 0.05; done"

    async def run() -> None:
        running = asyncio.ensure_future(run_command(shell(trap)))
        await asyncio.to_thread(wait_for, (tmp_path / "up").exists, "the program's start")
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(run())
    assert (tmp_path / "bye").read_text() == "bye\n"


def test_a_worker_that_is_killed_takes_its_programs_with_it(tmp_path: Path) -> None:
    """Otherwise the program would continue beside the retry."""
    read_end, write_end = os.pipe()
    leash = [sys.executable, "-I", "-S", str(command_module.CHILD_GUARD), str(read_end)]
    holder = subprocess.Popen(
        [*leash, *family(tmp_path / "pids", "time.sleep(600)")], pass_fds=[read_end], start_new_session=True
    )
    os.close(read_end)
    wait_for((tmp_path / "pids").exists, "the program's start")
    pids = pids_in(tmp_path / "pids")
    assert not any(map(is_gone, pids))
    os.close(write_end)  # what the kernel does for a killed process
    assert holder.wait(PATIENCE) == 128 + signal.SIGKILL
    assert all(map(is_gone, pids))


def test_reported_usage_counts_even_if_the_program_fails() -> None:
    said = '{"reply": "hi", "usage": {"input_tokens": 7, "cost": "dear"}}'
    spent, note = ResponseUsage(7, 0, Decimal(0)), "Of usage was not counted: cost 'dear'."
    assert outcome_of(shell(f"echo '{said}'")) == Replied("hi", spent=spent, note=note)
    assert outcome_of(shell(f"echo '{said}'; exit 1")) == Failed("it ended with status 1.", spent=spent, note=note)
    assert outcome_of(shell("echo '{\"a\": 1}'")) == Replied('{"a": 1}')
