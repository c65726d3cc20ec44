"""Crontabs and the original's rows become triggers; what they do not carry is listed with its line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli import run
from scheduler.definitions.crontab import CrontabImport, import_crontab, is_system_crontab
from scheduler.definitions.original_rows import import_rows
from scheduler.domain.errors import InvalidField

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def crontab(text: str, *, is_system: bool = False, zone: str | None = None) -> CrontabImport:
    return import_crontab(text, "ada", is_system=is_system, zone=zone)


def short(imported: CrontabImport) -> list[tuple[str, Any, Any]]:
    return [
        (each["name"], each["config"].get("expr"), each["config"].get("timezone")) for each in imported.triggers
    ]


@pytest.mark.parametrize(
    ("line", "expr"),
    [
        ("0 2 * * * backup", "0 2 * * *"),
        ("*/5\t0-6,8  * jan-MAR mon,WED  backup", "*/5 0-6,8 * jan-MAR mon,WED"),
        ("@Daily backup", "@daily"),
        ("@midnight\tbackup", "@midnight"),
        ("@every_minute backup", "* * * * *"),
        ("-0 0 * * 7 backup", "0 0 * * 7"),
        ("  0 0 1 * * PATH=/bin backup", "0 0 1 * *"),
        ("0 0 1 * * backup\r", "0 0 1 * *"),
    ],
)
def test_a_job_becomes_a_cron_trigger(line: str, expr: str) -> None:
    imported = crontab(line)
    assert short(imported) == [("backup", expr, None)]
    assert imported.notes == []


def test_the_command_with_its_input_and_remark_is_the_reason() -> None:
    (trigger,) = crontab("# Tell the team\n0 9 * * * mail -s '50\\% done' ada%Hello,%world\n").triggers
    assert trigger["name"] == "Tell the team"
    assert trigger["reason"] == "Tell the team\n\nmail -s '50% done' ada\n\nInput:\nHello,\nworld"


def test_zones_count_from_their_line_on() -> None:
    text = (
        "0 1 * * * a\nTZ=Asia/Tokyo\n0 1 * * * b\nCRON_TZ = 'America/New_York'\n0 1 * * * c\nCRON_TZ=\n0 1 * * * d"
    )
    imported = crontab(text, zone="UTC")
    assert [each[2] for each in short(imported)] == ["UTC", "Asia/Tokyo", "America/New_York", "Asia/Tokyo"]
    assert [note.line for note in imported.notes] == [2]


def test_jobs_of_an_unknown_zone_are_not_carried_in_another() -> None:
    imported = crontab("CRON_TZ=Mars/Base\n0 1 * * * a\nCRON_TZ=UTC\n0 1 * * * b")
    assert short(imported) == [("b", "0 1 * * *", "UTC")]
    assert [note.line for note in imported.notes] == [1, 2]


def test_what_is_not_carried_is_listed_with_its_line() -> None:
    text = "MAILTO=ops\nSHELL=/bin/sh\n\n@reboot start\n61 * * * * x\n0 0 31 2 * x\n* * * * *\nnonsense\n@x y\n"
    imported = crontab(text)
    assert imported.triggers == []
    assert [note.line for note in imported.notes] == [1, 2, 4, 5, 6, 7, 8, 9]
    assert "notification targets" in imported.notes[0].text
    assert "@reboot has no time" in imported.notes[2].text


def test_names_are_unique() -> None:
    imported = crontab("0 1 * * * /bin/x a\n0 2 * * * x b\n0 3 * * * ./x c")
    assert [each[0] for each in short(imported)] == ["x", "x 2", "x 3"]


def test_the_system_form_names_users() -> None:
    imported = crontab("0 1 * * *\troot  run a\n@daily www-data run b\n0 1 * * * /bin/x", is_system=True)
    assert [each["reason"] for each in imported.triggers] == ["run a\n(as root)", "run b\n(as www-data)"]
    assert [note.line for note in imported.notes] == [3]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("0 1 * * * root x", "/etc/crontab", True),
        ("0 1 * * * x", "/etc/cron.d/thing", True),
        ("PATH=/bin\n# x\n0 1 * * * root x\n@daily root y", "-", True),
        ("0 1 * * * root x\n0 1 * * * x y", "-", False),
        ("0 1 * * * root", "-", False),
        ("", "-", False),
    ],
    ids=["crontab", "cron.d", "users", "some", "alone", "empty"],
)
def test_the_form_is_told_by_the_file(text: str, path: str, *, expected: bool) -> None:
    assert is_system_crontab(text, path, {"root"}) is expected


def rows(*rows: dict[str, Any], agent: str | None = "ada") -> CrontabImport:
    return import_rows(json.dumps(rows), agent, NOW)


@pytest.mark.parametrize(
    ("kind", "config", "made"),
    [
        ("cron", {}, {"expr": "* * * * *"}),
        (
            "cron",
            {"expr": "0 9 * * *", "timezone": "Asia/Shanghai"},
            {"expr": "0 9 * * *", "timezone": "Asia/Shanghai"},
        ),
        ("once", {"at": "2031-01-01"}, {"at": "2031-01-01T00:00:00Z"}),
        ("once", {"at": "2029-01-01T00:00:00+08:00"}, {"at": "2028-12-31T16:00:00Z", "allow_past": True}),
        ("interval", {}, {"minutes": 30}),
        ("interval", {"minutes": 1.5}, {"minutes": 1.5}),
        (
            "poll",
            {"url": "https://a.example", "interval_min": 1},
            {"url": "https://a.example", "interval_min": 5.0},
        ),
        (
            "poll",
            {"url": "https://a.example", "fire_on": "match", "match_value": "x", "_last_value": "y"},
            {
                "url": "https://a.example",
                "fire_on": "match",
                "match_value": "x",
                "interval_min": 5.0,
                "repeat": True,
            },
        ),
        ("on_message", {"from_agent_name": "bob", "from_user_name": "eve"}, {"from_agent": "bob"}),
        ("on_message", {"from_user_name": "e"}, {"from_user": "e", "channels": ["feishu", "slack", "discord"]}),
        ("webhook", {"token": "t"}, {}),
        ("webhook", {"secret": "s"}, {"signature": {"scheme": "github", "secret": "s"}}),
    ],
    ids=str,
)
def test_a_row_of_each_type_is_converted(kind: str, config: dict[str, Any], made: dict[str, Any]) -> None:
    (trigger,) = rows({"name": "n", "type": kind, "config": config, "reason": "r"}).triggers
    assert trigger == {"agent": "ada", "name": "n", "type": kind, "config": made, "reason": "r"}


def test_settings_of_a_row_are_carried() -> None:
    row = {
        "name": "n", "type": "interval", "config": '{"minutes": 5, "_notification_summary": "s"}', "focus_ref": "f",
        "is_enabled": "f", "max_fires": "5", "fire_count": "2", "cooldown_seconds": 90,
        "expires_at": "2031-01-01T00:00:00",
        "agent_name": "bob",
    }  # fmt: skip
    imported = rows(row, agent=None)
    assert imported.triggers == [
        {
            "agent": "bob", "name": "n", "type": "interval", "config": {"minutes": 5}, "focus_ref": "f",
            "notification_summary": "s", "cooldown_seconds": 90, "max_fires": 3,
            "expires_at": "2031-01-01T00:00:00Z", "is_enabled": False,
        }
    ]  # fmt: skip
    assert [note.line for note in imported.notes] == [1]


def test_rows_that_are_over_or_odd_are_listed() -> None:
    imported = rows(
        {"name": "a", "type": "once", "config": {"at": "2029-01-01"}, "fire_count": 1},
        {"name": "b", "type": "interval", "expires_at": "2029-01-01"},
        {"name": "c", "type": "pigeon"},
        {"name": "d", "type": "cron", "config": "{"},
        {"name": "e", "type": "on_message", "config": {}},
        {"name": "a2a_wait_bob", "type": "on_message", "config": {"from_agent_name": "bob"}},
        {"type": "cron"},
        {"name": "f", "type": "interval"},
        {"name": "f", "type": "interval"},
        {"name": "g", "type": "interval", "max_fires": "many"},
    )
    assert [each["name"] for each in imported.triggers] == ["f"]
    assert [note.line for note in imported.notes] == [1, 2, 3, 4, 5, 6, 7, 9, 10]


def test_rows_are_read_from_csv_and_json_lines() -> None:
    table = 'name,type,config\nn,cron,"{""expr"": ""0 9 * * *""}"\nm,interval,\n'
    assert [each["config"] for each in import_rows(table, "ada", NOW).triggers] == [
        {"expr": "0 9 * * *"},
        {"minutes": 30},
    ]
    lines = '{"name": "n", "type": "cron"}\n\n{"name": "m", "type": "pigeon"}\n'
    imported = import_rows(lines, "ada", NOW)
    assert ([each["name"] for each in imported.triggers], [note.line for note in imported.notes]) == (["n"], [3])
    with pytest.raises(InvalidField, match="Line 2 is not JSON"):
        import_rows('{"name": "n", "type": "cron"}\n{', "ada", NOW)


@pytest.mark.parametrize(
    ("jobs", "said"), [(1, "1 trigger from FILE. Create it"), (2, "2 triggers from FILE. Create them")]
)
def test_the_output_says_how_to_apply_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: int, said: str
) -> None:
    file = tmp_path / "my-crontab"
    file.write_text("0 9 * * * water\n" * jobs)
    run(["import", "crontab", str(file), "--agent", "ada"])
    first = capsys.readouterr().out.splitlines()[0].replace(str(file), "FILE")
    assert first == f"# {said} with: reveille apply -f FILE --set crontab"
