"""Completion in the shells themselves: of commands, options, and the names that the service knows."""

from __future__ import annotations

import os
import pty
import select
import shutil
import sys
import time
from pathlib import Path
from subprocess import run

import pytest

from scheduler.commands.completion import FISH
from tests.support.shell import Service, Shell

HOSTILE = "x y;$(touch pwned)`touch pwned`'\""
BASH = """
source <(reveille completion bash)
for line in "$@"; do
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _reveille reveille
    printf '%s\\n' "${COMPREPLY[@]}"
done
"""


def environment(service: Service) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    return {
        "PATH": path,
        "HOME": "/",
        "REVEILLE_URL": service.url,
        "REVEILLE_API_KEY": service.key,
        "TERM": "dumb",
    }


@pytest.fixture
def names(shell: Shell, name: str) -> tuple[str, str]:
    """The names of two agents with the same beginning, one of which a shell must not read."""
    hostile = f"{name}{HOSTILE}"
    for each in (name, hostile):
        shell("agents", "create", each, "--command", "echo")
    return name, hostile


def test_bash_completes_commands_options_and_names_and_quotes_them(
    service: Service, names: tuple[str, str], tmp_path: Path
) -> None:
    lines = ["reveille agents sh", "reveille agents list --wi", f"reveille agents show {names[0]}"]
    script = f'{BASH}\neval "set -- ${{COMPREPLY[*]}}"; for each; do printf "%s\\n" "$each"; done'
    done = run(
        ["bash", "-c", script, "bash", *lines],
        env=environment(service),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    plain, hostile = names
    out = done.stdout.splitlines()
    assert out[:2] == ["show", "--wide"]
    assert set(out[-2:]) == {plain, hostile}  # read by the shell as one word each
    assert not list(tmp_path.iterdir())


def test_a_service_that_does_not_answer_offers_nothing_and_says_nothing(service: Service) -> None:
    env = environment(service) | {"REVEILLE_URL": "http://127.0.0.1:9"}
    done = run(
        ["bash", "-c", BASH, "bash", "reveille agents show "], env=env, capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes(service: Service, names: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "reveille.fish").write_text(FISH, encoding="utf-8")
    script = (
        f'source reveille.fish; complete -C "reveille agents sh"; complete -C "reveille agents show {names[0]}"'
    )
    env = environment(service) | {"HOME": str(tmp_path)}
    done = run(
        ["fish", "--no-config", "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("show\t")
    assert {line.partition("\t")[0] for line in lines[1:]} == set(names)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_completes(service: Service, agent: str) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment(service) | {"PS1": "ready> "})  # noqa: S606
    try:
        heard(terminal, "ready> ")
        os.write(terminal, b"autoload -U compinit; compinit -u -D; source <(reveille completion zsh)\n")
        heard(terminal, "zsh)")
        heard(terminal, "ready> ")
        os.write(terminal, f"reveille agents show {agent[:-1]}\t".encode())
        heard(terminal, f"{agent} ")
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def heard(terminal: int, text: str) -> None:
    """Waits until the terminal has shown the text."""
    said = ""
    end = time.monotonic() + 60
    while text not in said and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 65536).decode(errors="replace")
    assert text in said, said
