"""Finals with the names of speakers as they are known by now."""

from typing import Any

import pytest

from wernicke_daemon.commands.showing import Showing
from wernicke_daemon.formats.finals import Finals


def final(sequence: int, *speakers: str, words: bool = True) -> dict[str, Any]:
    segments: list[dict[str, Any]] = [
        {"start": float(at), "end": at + 1.0, "text": f"text {at}", "speaker": speaker}
        for at, speaker in enumerate(speakers)
    ]
    for segment in segments if words else ():
        segment["words"] = [{"word": "text", "speaker": segment["speaker"]}]
    times = {"start": 10.0 * sequence, "end": 10.0 * sequence + 5}
    return {"type": "final", "sequence": sequence, "revision": 1, "segments": segments, "timestamp_range": times}


def update(sequence: int, revision: int, **names: str) -> dict[str, Any]:
    told = [{"index": int(index[1:]), "speaker": name} for index, name in names.items()]
    return {"type": "speaker_update", "sequence": sequence, "revision": revision, "segments": told}


@pytest.mark.parametrize("words", [True, False])
def test_a_segment_and_its_words_get_the_new_name(words: bool) -> None:
    """The others stay, and so does the message that came."""
    finals, came = Finals(), final(1, "A", "B", words=words)
    finals.take(came)
    finals.take(final(2, "A", words=words))
    finals.take(update(1, 2, _1="C"))
    assert finals.all == [final(1, "A", "C", words=words) | {"revision": 2}, final(2, "A", words=words)]
    assert came == final(1, "A", "B", words=words)


def test_an_update_that_comes_again_or_late_changes_nothing() -> None:
    """Nor does one of a final that never came."""
    finals = Finals()
    finals.take(final(1, "A"))
    for message in (update(1, 3, _0="C"), update(1, 2, _0="B"), update(7, 2, _0="B"), {"type": "session_ended"}):
        finals.take(message)
    assert finals.all == [final(1, "C") | {"revision": 3}]


def test_what_was_shown_is_said_to_be_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    """At the end, once; lines on a terminal can't be changed any more."""
    with Showing(None, grows=False) as showing:
        for message in (
            final(1, "A", "B"),
            final(2, "A"),
            update(1, 2, _0="C"),
            update(2, 2, _0="C"),
            update(2, 3, _0="A"),
        ):
            showing.take(message)
    out, err = capsys.readouterr()
    assert out == "[00:10] A: text 0\n[00:11] B: text 1\n[00:20] A: text 0\n"
    assert err.startswith("note: One line above would have another speaker")
