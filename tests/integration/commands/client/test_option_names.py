"""Errors of the API name the options of the command, where it has one for the field."""

from __future__ import annotations

import pytest

from scheduler.commands.exits import ExitCode
from tests.support.shell import Shell

REFUSED = {
    "triggers add {agent} --every 1h --reason x --cooldown 1000d": "--cooldown (in seconds)",
    "triggers add {agent} --poll-url https://a.example --json-path $ --every 20s --reason x": "--every (in minutes)",
    "triggers add {agent} --poll-url ftp://a.example --json-path $ --every 10m --reason x": "--poll-url",
    "triggers add {agent} --expr * --reason x": "--expr",
    "triggers add {agent} --every 1h --reason x --expires-at soon": "--expires-at",
    "triggers add {agent} --type nothing --reason x --config {{}}": "--type",
    "triggers preview --every 1s --timezone Nowhere": "--timezone",
    "agents create a-{agent} --agent-url ftp://a.example": "--agent-url",
    "agents create b-{agent} --command cat --window 2d": "--window",
    "models create m-{agent} --provider openai --model m --base-url ftp://a.example": "--base-url",
    "tenants create t-{agent} --timezone Nowhere": "--timezone",
    "keys create k-{agent} --scope nothing": "--scope",
    "targets add {agent} t --kind slack --target-url ftp://a.example": "--target-url",
    "channels create {agent} c --kind slack --secret nothing=1": "--secret signing_secret",
    "agents heartbeat {agent} --every 1s": "--every",
    "agents heartbeat {agent} --every 1h --between noon": "--between",
    "alerts mute --rule nothing": "--rule",
    "alerts mute --rule agent_asleep --until soon": "--until",
    "alerts mute": "--rule, --agent or --trigger",
    "firings list --from soon": "--from",
}


@pytest.mark.parametrize(("typed", "option"), REFUSED.items())
def test_an_error_names_the_option(shell: Shell, agent: str, typed: str, option: str) -> None:
    shell(*(word.format(agent=agent) for word in typed.split()), code=ExitCode.USAGE)
    assert option in shell.err
    assert not any(word in shell.err for word in ("config.", "runtime.", "interval_min", "dedup_delay"))


def test_a_field_of_json_is_named_after_its_option(shell: Shell, agent: str) -> None:
    shell(
        "triggers",
        "add",
        agent,
        "--type",
        "cron",
        "--reason",
        "x",
        "--config",
        '{"expr": "*"}',
        code=ExitCode.USAGE,
    )
    assert "--config expr" in shell.err
