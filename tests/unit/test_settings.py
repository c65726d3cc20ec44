from __future__ import annotations

from pathlib import Path

import pytest

from config import installation
from config.setting_values import MAKE_SECRET_KEY
from config.settings import child_environment, load_settings, unknown_names, unknown_settings
from scheduler.domain.errors import ConfigurationError


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = load_settings({})
    assert settings.database_url is None
    assert settings.port == 8080
    assert settings.web_concurrency == 1
    assert settings.data_dir == Path.cwd() / "var"
    assert settings.admin_key is None
    assert settings.secret_key is None
    assert settings.allow_private_hosts == ""
    assert settings.commands == {}
    assert settings.public_url is None
    assert settings.url == "http://127.0.0.1:8080"
    assert settings.log_level == "INFO"
    assert settings.log_json is False


def test_every_variable_is_read() -> None:
    settings = load_settings(
        {
            "DATABASE_URL": "postgres://u:p@db:5432/reveille",
            "PORT": "9000",
            "WEB_CONCURRENCY": "2",
            "REVEILLE_DATA_DIR": "/srv/with space",
            "REVEILLE_ADMIN_KEY": "rvl_admin-key-of-ours",
            "REVEILLE_SECRET_KEY": "s" * 32,
            "REVEILLE_ALLOW_PRIVATE_HOSTS": "10.0.0.0/8, agents.internal,fd00::/8, [::1]:90, 10.0.0.0/8:443",
            "REVEILLE_COMMANDS": '{"hello": ["/bin/echo", "hi"]}',
            "REVEILLE_PUBLIC_URL": "https://reveille.example.org/",
            "REVEILLE_URL": "http://elsewhere:1234",
            "REVEILLE_API_KEY": "rev_api",
            "REVEILLE_LOG_LEVEL": "debug",
            "REVEILLE_LOG_JSON": "true",
        }
    )
    assert settings.libpq_url == "postgresql://u:p@db:5432/reveille"
    assert settings.sqlalchemy_url == "postgresql+psycopg://u:p@db:5432/reveille"
    assert (settings.port, settings.web_concurrency) == (9000, 2)
    assert settings.data_dir == Path("/srv/with space")
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == "rvl_admin-key-of-ours"
    assert settings.secret_key is not None
    assert settings.allow_private_hosts == "10.0.0.0/8, agents.internal,fd00::/8, [::1]:90, 10.0.0.0/8:443"
    assert settings.commands == {"hello": ["/bin/echo", "hi"]}
    assert settings.public_url == "https://reveille.example.org"
    assert settings.url == "http://elsewhere:1234"
    assert settings.api_key is not None
    assert settings.log_level == "DEBUG"
    assert settings.log_json is True


@pytest.mark.parametrize(
    ("host", "is_local", "url"),
    [
        (None, False, "http://127.0.0.1:8080"),
        ("0.0.0.0", False, "http://127.0.0.1:8080"),
        ("::", False, "http://127.0.0.1:8080"),
        ("192.0.2.7", False, "http://192.0.2.7:8080"),
        ("localhost", True, "http://127.0.0.1:8080"),
        ("127.0.0.9", True, "http://127.0.0.9:8080"),
        ("[::1]", True, "http://[::1]:8080"),
    ],
)
def test_a_service_is_local_while_it_listens_on_loopback_only(host: str | None, is_local: bool, url: str) -> None:
    settings = load_settings({} if host is None else {"REVEILLE_HOST": host})
    assert (settings.is_local, settings.url) == (is_local, url)
    assert load_settings(child_environment(settings)).host == settings.host


def test_the_cli_address_follows_the_port() -> None:
    assert load_settings({"PORT": "9001"}).url == "http://127.0.0.1:9001"


def test_empty_variables_count_as_unset() -> None:
    settings = load_settings(
        {"PORT": "", "DATABASE_URL": " ", "REVEILLE_ADMIN_KEY": "", "REVEILLE_ADMIN_KEY_FILE": ""}
    )
    assert settings.port == 8080
    assert settings.database_url is None


def test_what_needs_a_session_goes_past_the_pooler_where_one_is_named() -> None:
    pooled = {"DATABASE_URL": "postgres://u@pooler:6432/reveille"}
    assert load_settings(pooled).listen_url == "postgresql://u@pooler:6432/reveille"
    direct = {"DATABASE_DIRECT_URL": "postgres://u@db/reveille"}
    assert load_settings(pooled | direct).listen_url == "postgresql://u@db/reveille"
    with pytest.raises(ConfigurationError, match="DATABASE_DIRECT_URL is set without DATABASE_URL"):
        load_settings(direct)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_form_of_a_postgresql_address_is_normalised(scheme: str) -> None:
    settings = load_settings({"DATABASE_URL": f"{scheme}://u:p%40x@h/db?sslmode=require"})
    assert settings.libpq_url == "postgresql://u:p%40x@h/db?sslmode=require"
    assert settings.sqlalchemy_url == "postgresql+psycopg://u:p%40x@h/db?sslmode=require"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "http", "whole number"),
        ("PORT", "70000", "65535"),
        ("REVEILLE_HOST", "example.org", "0.0.0.0"),
        ("WEB_CONCURRENCY", "0", "at least 1"),
        ("DATABASE_URL", "sqlite:///x.db", "PostgreSQL"),
        ("DATABASE_URL", "mysql://u:hunter2@h/db", "PostgreSQL"),
        ("REVEILLE_SECRET_KEY", "short", MAKE_SECRET_KEY),
        ("REVEILLE_ADMIN_KEY", "two words", "without spaces"),
        ("REVEILLE_ADMIN_KEY", "hunter2", MAKE_SECRET_KEY),
        ("REVEILLE_ALLOW_PRIVATE_HOSTS", "10.0.0.0/99", "10.0.0.0/99"),
        ("REVEILLE_ALLOW_PRIVATE_HOSTS", "a host", "'a host'"),
        ("REVEILLE_COMMANDS", "{nope", "JSON"),
        ("REVEILLE_COMMANDS", '["/bin/echo"]', "an object"),
        ("REVEILLE_COMMANDS", '{"hello": "echo"}', "hello"),
        ("REVEILLE_COMMANDS", '{"hello": []}', "absolute path"),
        ("REVEILLE_COMMANDS", '{"hello": ["echo"]}', "absolute path"),
        ("REVEILLE_PUBLIC_URL", "reveille.example.org", "https://"),
        ("REVEILLE_URL", "ftp://host", "https://"),
        ("REVEILLE_LOG_LEVEL", "loud", "INFO"),
        ("REVEILLE_LOG_JSON", "perhaps", "true or false"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_it(name: str, value: str, says: str) -> None:
    message = refusal(**{name: value})
    assert message.startswith(f"{name}: ")
    assert says in message


def test_a_refusal_never_shows_the_secret() -> None:
    assert "hunter2" not in refusal(DATABASE_URL="mysql://u:hunter2@h/db")
    assert "hunter2" not in refusal(REVEILLE_SECRET_KEY="hunter2")
    assert "hunter2" not in refusal(REVEILLE_ADMIN_KEY="hunter2 x")


def test_neither_repr_nor_str_shows_a_secret() -> None:
    settings = load_settings(
        {
            "DATABASE_URL": "postgres://u:hunter2@h/db",
            "REVEILLE_ADMIN_KEY": "hunter2" * 3,
            "REVEILLE_API_KEY": "hunter2",
            "REVEILLE_SECRET_KEY": "hunter2" * 5,
        }
    )
    assert "hunter2" not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:p@h/db"),
        ("REVEILLE_ADMIN_KEY", "rvl_admin-key-of-ours"),
        ("REVEILLE_SECRET_KEY", "k" * 40),
        ("REVEILLE_API_KEY", "rev_api"),
    ],
)
def test_each_secret_can_come_from_a_file(tmp_path: Path, name: str, value: str) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{value}\n", encoding="utf-8")
    assert load_settings({f"{name}_FILE": str(path)}) == load_settings({name: value})


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    message = refusal(REVEILLE_ADMIN_KEY="a", REVEILLE_ADMIN_KEY_FILE=str(tmp_path / "b"))
    assert "both set" in message


def test_a_secret_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(REVEILLE_API_KEY_FILE=str(tmp_path / "absent"))
    empty = tmp_path / "empty"
    empty.touch()
    assert "is empty" in refusal(REVEILLE_API_KEY_FILE=str(empty))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "not text" in refusal(REVEILLE_API_KEY_FILE=str(binary))


def test_a_server_process_needs_a_database_and_a_secret_key() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL is not set"):
        load_settings({"REVEILLE_SECRET_KEY": "k" * 32}).for_server()
    without_key = load_settings({"DATABASE_URL": "postgres://h/db"})
    with pytest.raises(ConfigurationError) as caught:
        without_key.for_server()
    assert MAKE_SECRET_KEY in caught.value.message
    complete = load_settings({"DATABASE_URL": "postgres://h/db", "REVEILLE_SECRET_KEY": "k" * 32})
    assert complete.for_server() is complete


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("REVEILLE_DATADIR", "REVEILLE_DATA_DIR"),
        ("REVEILLE_ADMIN_KEYS", "REVEILLE_ADMIN_KEY"),
        ("REVEILLE_PORT", "PORT"),
        ("REVEILLE_DATABASE_URL", "DATABASE_URL"),
        ("REVEILLE_LOGLEVEL", "REVEILLE_LOG_LEVEL"),
    ],
)
def test_an_unknown_name_is_warned_about_with_the_nearest_known_one(name: str, near: str) -> None:
    (warning,) = unknown_names({name: "9000", "PORT": "1", "HOME": "/"})
    assert warning == f"{name} is not a setting of Reveille; did you mean {near}?"


def test_an_unknown_name_like_no_other_gets_no_guess() -> None:
    assert list(unknown_names({"REVEILLE_ZZZZ": "1"})) == ["REVEILLE_ZZZZ is not a setting of Reveille"]


def test_what_kubernetes_injects_is_passed_over() -> None:
    injected = {
        "REVEILLE_PORT": "tcp://10.0.0.1:8080",
        "REVEILLE_SERVICE_HOST": "10.0.0.1",
        "REVEILLE_SERVICE_PORT": "8080",
        "REVEILLE_SERVICE_PORT_HTTP": "8080",
        "REVEILLE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "REVEILLE_PORT_8080_TCP_PROTO": "tcp",
        "REVEILLE_PORT_8080_TCP_ADDR": "10.0.0.1",
        "REVEILLE_WEB_SERVICE_HOST": "10.0.0.2",
        "REVEILLE_WEB_PORT_80_TCP_PORT": "80",
    }
    assert list(unknown_names(injected)) == []


def test_an_unknown_name_is_told_once_and_not_handed_on_to_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVEILLE_PUBLIC_URI", "https://reveille.example.org")
    (told,) = (each for each in unknown_settings() if "PUBLIC_URI" in each)
    assert told.endswith("did you mean REVEILLE_PUBLIC_URL?")
    assert "REVEILLE_PUBLIC_URI" not in child_environment(load_settings({}))


def test_data_are_kept_beside_a_checkout_else_where_the_platform_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).data_dir == tmp_path / "var"
    monkeypatch.setattr(installation, "ROOT", tmp_path / "site-packages")
    place = load_settings({}).data_dir
    assert place.name == "reveille"
    assert not place.is_relative_to(tmp_path)
    (tmp_path / "var").mkdir()
    (tmp_path / "var/secret.key").write_text("one that a checkout left here")
    assert load_settings({}).data_dir == tmp_path / "var"
