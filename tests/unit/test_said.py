"""What an utterance knows of what was said before it."""

from wernicke_daemon.utterances.said import Said


def said(*sequences: int, lines: int = 2) -> Said:
    """Those utterances were recognised, in that order; each says its number."""
    made = Said(lines=lines)
    for sequence in sequences:
        made.add(sequence, f"{sequence}", f"l{sequence}")
    return made


def test_the_latest_texts_before_an_utterance_oldest_first() -> None:
    """In the order of speech, whatever came first; never its own or a later one."""
    made = said(4, 2, 1, 3)
    assert (made.texts_before(4), made.text_before(4)) == (("2", "3"), "3")
    assert (made.texts_before(2), made.text_before(2)) == (("1",), "1")
    assert (made.texts_before(1), made.text_before(1)) == ((), "")


def test_what_is_not_recognised_yet_is_skipped() -> None:
    """And is there when it is."""
    made = said(1, 3)
    assert made.texts_before(4) == ("1", "3")
    made.add(2, "2", "l2")
    assert made.texts_before(4) == ("2", "3")


def test_recognition_has_its_context_where_correction_has_none() -> None:
    """`context_lines = 0` is a setting of correction."""
    made = said(1, 2, lines=0)
    assert (made.texts_before(3), made.text_before(3)) == ((), "2")
    assert made.kept(1) == ("1",)
    assert made.text_before(3) == "2"


def test_what_is_kept_is_all_that_may_be_asked_for() -> None:
    """The next utterance finds it unchanged; so does one of the session taken up again with it."""
    made = said(1, 2, 3, 4)
    assert [made.kept(sequence) for sequence in (1, 2, 3)] == [("1",), ("1", "2"), ("2", "3")]
    again = Said(("2", "3"), next_sequence=4, lines=2)
    assert made.texts_before(4) == again.texts_before(4) == ("2", "3")
    assert made.texts_before(2) == (), "that was asked for long ago"


def test_the_language_of_what_was_said_before() -> None:
    """That of the latest there is, also once others are forgotten, and in a session taken up again."""
    made = said(4, 2, 1)
    assert [made.language_before(sequence) for sequence in (1, 2, 4, 5)] == ["", "l1", "l2", "l4"]
    made.kept(1)
    made.kept(2)
    assert [made.language_before(sequence) for sequence in (2, 3, 4, 5)] == ["", "l2", "l2", "l4"]
    made.kept(3)
    assert made.language_before(4) == "l2", "the third has no text"
    assert Said(("2",), 3, 2, "l2").language_before(3) == "l2" and Said().language_before(1) == ""
