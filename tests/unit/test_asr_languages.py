"""Which language is spoken, where that is to be recognised."""

import pytest

from stages.asr.languages import SHORT_S, pick

HEARD = [("ko", 0.5), ("en", 0.3), ("ja", 0.1), ("fr", 0.1)]


def test_the_likeliest_of_all_or_of_those_allowed() -> None:
    assert pick((), "", 10.0, HEARD) == ("ko", 0.5)
    assert pick(("ja", "en"), "", 10.0, HEARD) == ("en", pytest.approx(0.75))


def test_a_short_word_does_not_change_the_language() -> None:
    assert pick(("ja", "en"), "ja", SHORT_S - 0.1, HEARD) == ("ja", pytest.approx(0.25))
    assert pick((), "ja", SHORT_S - 0.1, HEARD) == ("ja", pytest.approx(0.1))
    assert pick(("ja", "en"), "ja", SHORT_S, HEARD)[0] == "en"


def test_what_was_spoken_before_counts_only_where_it_is_allowed() -> None:
    """The list may be another one since a session was taken up again."""
    assert pick(("ja", "en"), "ko", 1.0, HEARD)[0] == "en"


def test_a_model_may_know_none_of_them() -> None:
    with pytest.raises(ValueError, match="knows none"):
        pick(("xx",), "", 1.0, HEARD)
