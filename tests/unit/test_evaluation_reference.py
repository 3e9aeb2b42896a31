"""What is true of a recording, from files of all kinds."""

import json
from pathlib import Path

import pytest

from wernicke_daemon.evaluation.reference import BadReference, Reference, Stretch, Turn, read
from wernicke_daemon.formats.subtitles import to_json, to_srt, to_txt

FINAL = {
    "type": "final",
    "timestamp_range": {"start": 10.0, "end": 14.0},
    "segments": [
        {"start": 0.5, "end": 2.0, "speaker": "Ann", "text": "Good morning."},
        {"start": 2.0, "end": 3.5, "speaker": "Bob", "text": "Hello: you."},
    ],
}
TIMED = (Turn("Ann", "Good morning.", 10.5, 12.0), Turn("Bob", "Hello: you.", 12.0, 13.5))
SPEECH = (Stretch(10.5, 12.0, "Ann"), Stretch(12.0, 13.5, "Bob"))


def of(tmp_path: Path, **files: str) -> Reference:
    for ending, content in files.items():
        (tmp_path / f"a.{ending}").write_bytes(content.encode())
    return read(tmp_path / f"a.{ending}" for ending in files)


def test_what_the_daemon_wrote_and_somebody_mended(tmp_path: Path) -> None:
    """Its JSON and its subtitles have times and speakers, its text has speakers."""
    assert of(tmp_path, json=to_json([FINAL])) == Reference(TIMED, SPEECH)
    assert of(tmp_path, srt=to_srt([FINAL])) == Reference(TIMED, SPEECH)
    assert of(tmp_path, txt=to_txt([FINAL])) == Reference(tuple(Turn(t.speaker, t.text) for t in TIMED), None)


def test_plain_text(tmp_path: Path) -> None:
    """A colon names nobody; an empty file says that nobody speaks."""
    assert of(tmp_path, txt="議題: 予算\n\n始めます。\n").turns == (Turn(None, "議題: 予算"), Turn(None, "始めます。"))
    assert of(tmp_path, txt="") == Reference((), ())


def test_subtitles_without_names(tmp_path: Path) -> None:
    """One line with a colon does not make names of all beginnings."""
    text = (
        "1\r\n00:00:01,500 --> 00:00:02,000\r\nNote: this\r\n\r\n2\r\n00:01:00.000 --> 00:01:01.000\r\nand\r\nthat\r\n"
    )
    assert of(tmp_path, srt=text) == Reference(
        (Turn(None, "Note: this", 1.5, 2.0), Turn(None, "and that", 60.0, 61.0)), None
    )


def test_stm_and_rttm(tmp_path: Path) -> None:
    """Comments and what is not scored are left out; an RTTM's times go before those of the text."""
    stm = (
        ";; a comment\n"
        "a 1 Bob 12.0 13.5 <o,f0,male> Hello: you.\n"
        "a 1 Ann 10.5 12.0 Good morning.\n"
        "a 1 inter_segment_gap 13.5 14\n"
        "a 1 Bob 14 15 IGNORE_TIME_SEGMENT_IN_SCORING\n"
    )
    assert of(tmp_path, stm=stm) == Reference(TIMED, SPEECH)
    rttm = "SPKR-INFO a 1 <NA> <NA> <NA> unknown Ann <NA> <NA>\nSPEAKER a 1 10.50 1.00 <NA> <NA> Ann <NA> <NA>\n"
    assert of(tmp_path, stm=stm, rttm=rttm) == Reference(TIMED, (Stretch(10.5, 11.5, "Ann"),))
    assert of(tmp_path, rttm=rttm) == Reference(None, (Stretch(10.5, 11.5, "Ann"),))


def test_json_with_turns(tmp_path: Path) -> None:
    """In any order; stretches without the pauses; what has no text is no speech."""
    turns = [
        {"speaker": "B", "start": 4, "end": 6, "text": "two"},
        {"speaker": "A", "start": 0, "end": 3, "text": "one", "speech": [[0, 1], [2, 3]]},
    ]
    found = of(tmp_path, json=json.dumps({"seconds": 7, "turns": turns}))
    assert [turn.text for turn in found.turns or ()] == ["one", "two"]
    assert found.speech == (Stretch(0, 1, "A"), Stretch(2, 3, "A"), Stretch(4, 6, "B"))
    assert of(tmp_path, json=json.dumps([{"start": 0, "end": 5, "what": "hum"}])) == Reference((), ())


@pytest.mark.parametrize(
    ("ending", "content"),
    [("json", "{"), ("json", '{"a": 1}'), ("stm", "a 1 Ann\n"), ("rttm", "SPEAKER a 1 x y\n"), ("json", '["text"]')],
)
def test_what_is_not_what_its_ending_says(tmp_path: Path, ending: str, content: str) -> None:
    """Refused by its name."""
    with pytest.raises(BadReference, match=rf"a\.{ending}: not what its ending says"):
        of(tmp_path, **{ending: content})
    (tmp_path / "a.txt").write_bytes("始め".encode("cp932"))
    with pytest.raises(BadReference, match="save it as UTF-8"):
        read([tmp_path / "a.txt"])
