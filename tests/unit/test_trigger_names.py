"""The name that the command gives to a trigger that was added without one."""

from __future__ import annotations

import pytest

from scheduler.commands.trigger_options import default_name, options_of_kinds, shape


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"--expr": "*/5 * * * *"}, "every 5 minutes"),
        ({"--expr": "0 22 * * mon-fri"}, "at 22:00, Monday through Friday"),
        ({"--expr": "*/7 * * * *"}, "cron"),
        ({"--expr": "not a schedule"}, "cron not a schedule"),
        ({"--every": "20s"}, "interval 20s"),
        ({"--at": "2030-01-31"}, "once 2030-01-31"),
        ({"--poll-url": "https://api.example.org/jobs/7", "--every": "10m"}, "poll api.example.org"),
        ({"--poll-url": "https://[broken", "--every": "10m"}, "poll https://[broken"),
        ({"--scheme": "github", "--secret": "hush"}, "webhook github"),
    ],
)
def test_a_trigger_without_a_name_is_named_after_its_schedule_or_type(options: dict[str, str], name: str) -> None:
    kinds = options_of_kinds()
    kind, config = shape(None, None, options, kinds)
    assert default_name(kind, config, options, kinds) == name
