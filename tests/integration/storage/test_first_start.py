"""The admin keys of the first start, and of those that replace a lost one."""

from __future__ import annotations

from config.settings import Settings, load_settings
from scheduler.bootstrap import first_start
from scheduler.domain.ids import token_hash
from scheduler.storage.engine import Database
from tests.support.database import rows


def settings_with(url: str, key: str | None) -> Settings:
    values = {"DATABASE_URL": url} | ({} if key is None else {"REVEILLE_ADMIN_KEY": key})
    return load_settings(values)


def test_each_admin_key_has_a_name_of_its_own(db: Database, database_url: str) -> None:
    made = first_start(settings_with(database_url, None))
    assert made.admin_key is not None
    assert first_start(settings_with(database_url, None)).admin_key is None
    for key in ("second-key-of-somebody", "third-key-of-somebody", "second-key-of-somebody"):
        assert first_start(settings_with(database_url, key)).admin_key is None
    found = {row.name: bytes(row.key_hash) for row in rows(db, "SELECT name, key_hash FROM api_keys")}
    assert found == {
        "first admin": token_hash(made.admin_key),
        "admin 2": token_hash("second-key-of-somebody"),
        "admin 3": token_hash("third-key-of-somebody"),
    }
