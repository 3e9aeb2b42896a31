"""What voices of a session are called."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.utterances.titles import BadName, Titles, checked

LABELS = ("Speaker_00", "Speaker_01", "Speaker_02")


def test_a_voice_is_called_by_its_name() -> None:
    """The others by their labels."""
    titles = Titles()
    assert titles.give("Speaker_01", " 田中 ", LABELS) == ["Speaker_01"]
    assert [titles.of(label) for label in LABELS] == ["Speaker_00", "田中", "Speaker_02"]


def test_it_is_meant_by_its_name_too() -> None:
    titles = Titles()
    titles.give("Speaker_01", "田中", LABELS)
    assert titles.give("田中", "田中太郎", LABELS) == ["Speaker_01"]
    assert titles.of("Speaker_01") == "田中太郎"


def test_two_voices_of_one_name_are_one_person() -> None:
    """Each can be called otherwise again by its label; by the name both are meant."""
    titles = Titles()
    titles.give("Speaker_00", "田中", LABELS)
    titles.give("Speaker_02", "田中", LABELS)
    assert [titles.of(label) for label in LABELS] == ["田中", "Speaker_01", "田中"]
    assert titles.give("田中", "佐藤", LABELS) == ["Speaker_00", "Speaker_02"]
    titles.give("Speaker_02", "鈴木", LABELS)
    assert [titles.of(label) for label in LABELS] == ["佐藤", "Speaker_01", "鈴木"]


def test_its_label_takes_the_name_back() -> None:
    """Also one that was recognised."""
    titles = Titles(recognised={"Speaker_01": "田中"})
    titles.give("田中", "Speaker_01", LABELS)
    assert titles.of("Speaker_01") == "Speaker_01"
    titles.give("Speaker_01", "佐藤", LABELS)
    titles.give("佐藤", "Speaker_01", LABELS)
    assert titles.of("Speaker_01") == "Speaker_01"


def test_people_know_better_than_voiceprints() -> None:
    titles = Titles(given={"Speaker_00": "佐藤"}, recognised={"Speaker_00": "田中", "Speaker_01": "鈴木"})
    assert [titles.of(label) for label in LABELS[:2]] == ["佐藤", "鈴木"]


def test_a_voice_that_is_not_there() -> None:
    """The message says which are."""
    titles = Titles(given={"Speaker_00": "佐藤"})
    with pytest.raises(BadName, match=r"no voice 'Speaker_07'.*佐藤, Speaker_01, Speaker_02\."):
        titles.give("Speaker_07", "田中", LABELS)
    with pytest.raises(BadName, match="none so far"):
        titles.give("Speaker_00", "田中", ())
    assert titles.given == {"Speaker_00": "佐藤"}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "empty"),
        ("  \u3000", "empty"),
        ("a\nb", "control"),
        ("a\u2028b", "control"),
        ("a\x1b[31mb", "control"),
        ("a\u202eb", "control"),
        ("\ud800", "control"),
        ("x" * 65, "64 characters at most; this one has 65"),
        ("Speaker_07", "another name"),
        ("speaker_7", "another name"),
    ],
)
def test_names_that_no_voice_can_have(name: str, word: str) -> None:
    with pytest.raises(BadName, match=word):
        checked(name)
    with pytest.raises(BadName):
        Titles().give("Speaker_00", name, LABELS)


@pytest.mark.parametrize("name", ["田中", "O'Neil", "Dr. Müller-Lüdenscheidt", "علی‌رضا", "x" * 64, "Speaker_07 (left)"])
def test_names_of_people(name: str) -> None:
    assert checked(name) == name


def test_one_name_is_written_in_one_way() -> None:
    """A letter and its accent are one character, whoever typed them."""
    assert checked("Ren\u0065\u0301") == "Ren\u00e9"


@given(st.lists(st.tuples(st.sampled_from([*LABELS, "A", "B"]), st.sampled_from(["A", "B", *LABELS])), max_size=8))
def test_voices_stay_apart(steps: list[tuple[str, str]]) -> None:
    """Whatever is said, a label is free to be named again, and no voice is called by another's label."""
    titles = Titles()
    for speaker, name in steps:
        with contextlib.suppress(BadName):
            titles.give(speaker, name, LABELS)
        for label in LABELS:
            assert titles.of(label) in {"A", "B", label}
    titles.give("Speaker_01", "C", LABELS)
    assert titles.of("Speaker_01") == "C"


def test_what_is_replaced_where_only_names_are_known() -> None:
    """Nothing where others keep the name, or two that had one name get two. The titles stay."""
    titles = Titles(given={"Speaker_00": "田中", "Speaker_02": "田中"}, recognised={"Speaker_01": "佐藤"})
    assert titles.replacing("佐藤", "鈴木", LABELS) == ("佐藤", "鈴木")
    assert titles.replacing("Speaker_01", "Speaker_01", LABELS) == ("佐藤", "Speaker_01")
    assert titles.replacing("田中", "鈴木", LABELS) == ("田中", "鈴木")
    assert titles.replacing("Speaker_02", "鈴木", LABELS) is None
    assert titles.replacing("田中", "Speaker_02", LABELS) is None
    with pytest.raises(BadName):
        titles.replacing("Speaker_03", "鈴木", LABELS)
    assert [titles.of(label) for label in LABELS] == ["田中", "佐藤", "田中"]
