"""Word error rate and speaker errors against a reference."""

import pytest

from wernicke_daemon.evaluation.scoring import Pair, Spoken, aligned, mapping, score, split, unit_of

REFERENCE = [Spoken("slt", "good morning everyone"), Spoken("rms", "thank you"), Spoken("slt", "let us begin")]


def test_normalising_leaves_words_alone() -> None:
    """Case and punctuation do not count as errors; an apostrophe within a word belongs to it."""
    assert split("  Don’t -- STOP, 'now'!  ", "word") == ["don't", "stop", "now"]


def test_the_same_words_under_any_labels_are_no_error() -> None:
    """Labels need not be the voices' names, they must only tell them apart."""
    result = [Spoken("Speaker_00", "Good morning, everyone!"), Spoken("Speaker_01", "thank you.")]
    found = score(REFERENCE, [*result, Spoken("Speaker_00", "Let us begin.")])
    assert (found.error_rate, found.speaker_errors, found.units, found.compared) == (0.0, 0, 8, 8)


def test_word_errors_are_counted_per_reference_word() -> None:
    """One substitution, one deletion and one insertion in eight words."""
    result = [Spoken("A", "good evening everyone"), Spoken("B", "thank you"), Spoken("A", "us begin now")]
    found = score(REFERENCE, result)
    assert found.error_rate == pytest.approx(3 / 8)
    assert found.compared == 7


def test_words_of_the_wrong_speaker_are_counted() -> None:
    """A third label can't stand for a voice that has one already: its three words are errors."""
    result = [Spoken("A", "good morning everyone"), Spoken("B", "thank you"), Spoken("C", "let us begin")]
    assert score(REFERENCE, result).speaker_errors == 3


def test_one_label_for_all_counts_the_smaller_voice() -> None:
    """With everything under one label the best mapping keeps the voice that said most."""
    result = [Spoken("A", "good morning everyone thank you let us begin")]
    assert score(REFERENCE, result).speaker_errors == 2


def test_unknown_speakers_are_errors() -> None:
    """No label is no credit."""
    result = [Spoken(None, "good morning everyone thank you"), Spoken("A", "let us begin")]
    assert score(REFERENCE, result).speaker_errors == 5


def test_nothing_recognised_is_all_wrong() -> None:
    """An empty result has every word deleted and no word to compare speakers on."""
    found = score(REFERENCE, [])
    assert (found.error_rate, found.compared, found.speaker_errors) == (1.0, 0, 0)


def test_languages_without_blanks_are_compared_by_characters() -> None:
    """Width, punctuation and blanks are no errors; the long-vowel mark is a character."""
    assert unit_of("ja") == "character" and unit_of("en") == "word"
    assert split("５時に、 サーバーへ。", "character") == list("5時にサーバーへ")
    result = [Spoken("Speaker_01", "まだ解決しています")]
    found = score([Spoken("佐藤", "まだ解決していません。")], result, "character")
    assert (found.error_rate, found.units, found.labels) == (pytest.approx(2 / 10), 10, {"Speaker_01": "佐藤"})


def test_every_unit_is_in_the_alignment_once() -> None:
    """Wrong ones beside what they stand for, missing and additional ones alone."""
    pairs = aligned(list("abcde"), list("abXdef"))
    assert pairs == [Pair(0, 0), Pair(1, 1), Pair(2, 2), Pair(3, 3), Pair(4, 4), Pair(None, 5)]
    assert aligned(list("abc"), list("ac")) == [Pair(0, 0), Pair(1, None), Pair(2, 1)]
    assert aligned([], ["a"]) == [Pair(None, 0)] and aligned(["a"], []) == [Pair(0, None)]


def test_the_mapping_is_the_best_for_many_speakers() -> None:
    """Of a dozen labels each gets its voice, though another says more under it."""
    pairs = [(f"voice {i}", f"label {i}") for i in range(12) for _ in range(10)]
    pairs += [("voice 0", "label 1")] * 9
    assert mapping(pairs) == {f"label {i}": f"voice {i}" for i in range(12)}
