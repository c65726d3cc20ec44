"""Which passwords are refused as easy to guess."""

from __future__ import annotations

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.domain.passwords import check_password

EASY = (
    "grace2024grace",
    "Grace-Hopper-99",
    "GRACEgraceGRACE",
    "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff441234",
    "passw\u200bord1234",
    "пароль123456",
    "December2025!",
    "x" * 12,
)
GOOD = ("correct horse battery staple", "kX9$wq2LmT7!", "grace and seven odd llamas", "четыре слова подряд 42")


@pytest.mark.parametrize("password", EASY)
def test_a_word_with_a_name_or_a_year_is_refused(password: str) -> None:
    with pytest.raises(InvalidField, match="easy to guess"):
        check_password(password, "Grace Hopper")


@pytest.mark.parametrize("password", GOOD)
def test_several_words_are_accepted(password: str) -> None:
    check_password(password, "Grace Hopper")
