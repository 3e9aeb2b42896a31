"""Corrections of meetings by hand: what has to stand as a whole, and what to be refused, alone or beside good edits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.correction.guard.verdict import accept, permitted, refusal
from stages.phonetics.readings import Reader

DATA = Path(__file__).parents[1] / "data"
READ = Reader()


def cases(name: str) -> Iterator[tuple[str, ...]]:
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield tuple(line.split("\t"))


GOOD, BAD = [*cases("corrections_good.tsv")], [*cases("corrections_bad.tsv")]


@pytest.mark.parametrize(("heard", "corrected"), GOOD)
def test_what_has_to_stand(heard: str, corrected: str) -> None:
    """Homophones, spellings, numbers, fillers, punctuation."""
    assert permitted(heard, corrected, (), READ) == (corrected, ())


@pytest.mark.parametrize(("heard", "corrected", "written"), BAD)
def test_what_has_to_be_refused(heard: str, corrected: str, written: str) -> None:
    """Near-homophones, turned meanings, other numbers and names; a bad edit costs no good one beside it."""
    text, refused = permitted(heard, corrected, (), READ)
    assert (text.rstrip("。"), refused != ()) == (written.rstrip("。"), True)
    assert text == heard or accept(heard, text, (), READ)


def test_there_are_fifty_of_each() -> None:
    """And among the refused ones such as are good in part."""
    assert len(GOOD) >= 50 and len(BAD) >= 50
    assert sum(heard != written for heard, _, written in BAD) >= 15


@pytest.mark.parametrize(
    ("heard", "corrected", "read", "why"),
    [
        ("今日は雨です", "今日は\n雨です", READ, "malformed"),
        ("会議は3時です", "会議は4時です", READ, "number"),
        ("計画を見ます", "契約を見ます", READ, "sound"),
        ("meet at 15", "meet at 50", None, "number"),
        ("we did agree", "we didn't agree", None, "negation"),
        ("we agree", "we agree with him too", None, "letters"),
    ],
)
def test_why_one_is_refused(heard: str, corrected: str, read: Reader | None, why: str) -> None:
    """The log counts the reasons."""
    assert refusal(heard, corrected, (), read) == why


def test_an_answer_that_is_another_text_leaves_nothing() -> None:
    """Not even its commas."""
    heard, answer = "きょうはきかいがくしゅうについてはなします", "申し訳ありませんが、お手伝いできません。"
    assert permitted(heard, answer, (), READ) == (heard, ("other_text",))


def test_other_languages_by_words() -> None:
    """What a long text may lose or gain is not all in one place."""
    heard = "we need too by a knew printer before we meet on the 15th in the big room"
    answer = "We need to buy a new printer before we meet on the 50th in the big room."
    assert permitted(heard, answer, (), None) == (answer.replace("50th", "15th"), ("number",))


def test_glossary_terms_beside_a_bad_edit() -> None:
    """A term stands where it was heard."""
    heard, answer = "クーバネティスの予算を上げます", "Kubernetesの予算を下げます。"
    assert permitted(heard, answer, ("Kubernetes",), READ) == ("Kubernetesの予算を上げます。", ("sound",))


@given(st.text(max_size=30), st.text(max_size=40))
def test_whatever_stands_is_acceptable(heard: str, corrected: str) -> None:
    """Whichever way it was put together."""
    text, refused = permitted(heard, corrected, (), READ)
    assert text == heard or accept(heard, text, (), READ)
    assert refused or text == corrected
