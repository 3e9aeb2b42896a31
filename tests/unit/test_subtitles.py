"""Finals written as text, subtitles, documents and JSON."""

import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import docx
import pytest

from wernicke_daemon.formats import documents, subtitles
from wernicke_daemon.formats.exports import FORMATS


def final(start: float, *segments: tuple[float, float, str | None, str]) -> dict[str, Any]:
    return {
        "type": "final",
        "timestamp_range": {"start": start, "end": start + 10},
        "segments": [{"start": a, "end": b, "speaker": who, "text": text} for a, b, who, text in segments],
    }


TALK = [
    final(12.48, (0.12, 1.85, "Speaker_00", "今日は。"), (2.0, 3.0, "Speaker_01", "はい。")),
    final(3725.0, (0.5, 2.0, None, "so long")),
]


def test_txt_has_a_line_per_segment_with_session_time_and_speaker() -> None:
    """Times are the utterance's place in the session plus the segment's; hours appear when there are any."""
    assert subtitles.to_txt(TALK) == "[00:12] Speaker_00: 今日は。\n[00:14] Speaker_01: はい。\n[1:02:05] so long\n"


def test_srt_is_numbered_with_comma_milliseconds() -> None:
    """SubRip: a counter, HH:MM:SS,mmm times, the text, an empty line between."""
    assert subtitles.to_srt(TALK) == (
        "1\n00:00:12,600 --> 00:00:14,330\nSpeaker_00: 今日は。\n\n"
        "2\n00:00:14,480 --> 00:00:15,480\nSpeaker_01: はい。\n\n"
        "3\n01:02:05,500 --> 01:02:07,000\nso long\n"
    )


def test_vtt_names_the_voice() -> None:
    """WebVTT: the header, HH:MM:SS.mmm times, a voice span where the speaker is known."""
    assert subtitles.to_vtt(TALK) == (
        "WEBVTT\n\n00:00:12.600 --> 00:00:14.330\n<v Speaker_00>今日は。\n\n"
        "00:00:14.480 --> 00:00:15.480\n<v Speaker_01>はい。\n\n"
        "01:02:05.500 --> 01:02:07.000\nso long\n"
    )


def test_json_holds_the_finals_as_sent() -> None:
    """Nothing of what the server sent is lost, and scripts stay readable."""
    assert json.loads(subtitles.to_json(TALK)) == TALK
    assert "今日は" in subtitles.to_json(TALK)


@pytest.mark.parametrize("text", ["a --> b", "x < y & z > 0", "one\n\ntwo\r\nthree"])
def test_no_text_can_break_out_of_its_cue(text: str) -> None:
    """Arrows, markup and line breaks in a text make neither lines of times nor tags nor new cues."""
    talk = [final(0, (0, 1, "Speaker_00", text))]
    for written in (subtitles.to_srt(talk), subtitles.to_vtt(talk)):
        assert written.count("-->") == 1
        assert "\n\n" not in written.removeprefix("WEBVTT\n\n").rstrip("\n")
    payload = subtitles.to_vtt(talk).splitlines()[3].removeprefix("<v Speaker_00>")
    assert "<" not in payload and ">" not in payload


def test_vtt_escapes_markup() -> None:
    """The three characters that WebVTT gives a meaning come out as entities."""
    assert "x &lt; y &amp; z &gt; 0" in subtitles.to_vtt([final(0, (0, 1, None, "x < y & z > 0"))])


def test_overlapping_segments_are_ordered_by_start() -> None:
    """Two people talking at once both keep their times; cues never go back in start time."""
    talk = [final(10, (0, 5, "Speaker_00", "long")), final(8, (3, 4, "Speaker_01", "short"), (0, 1, None, "early"))]
    assert [(cue.start, cue.end) for cue in subtitles.cues(talk)] == [(8, 9), (10, 15), (11, 12)]


@pytest.mark.parametrize(
    ("start", "end", "stamps"),
    [
        (59.9996, 59.9996, "00:01:00,000 --> 00:01:00,001"),
        (3599.9997, 3600.5, "01:00:00,000 --> 01:00:00,500"),
        (86399.9999, 86401, "24:00:00,000 --> 24:00:01,000"),
        (359999.9996, 360001.25, "100:00:00,000 --> 100:00:01,250"),
    ],
)
def test_times_round_to_valid_cues(start: float, end: float, stamps: str) -> None:
    """Rounding carries into seconds, minutes and hours, hours go on after a day and after 99, and an end is never
    before or at its start."""
    talk = [final(start, (0, end - start, None, "blip"))]
    assert stamps in subtitles.to_srt(talk)
    assert stamps.replace(",", ".") in subtitles.to_vtt(talk)


def test_no_subtitle_holds_a_command() -> None:
    """SubRip has no escapes: what players take for tags and commands is written with characters that look alike, in
    names, too; what only looks like one stays."""
    talk = [final(0, (0, 1, "<b>田中</b> -->", "<script>x</script> {\\an8}up, 1 < 2 & 3 > 2"))]
    text = subtitles.to_srt(talk).splitlines()[2]
    assert text == "‹b>田中‹/b> →: ‹script>x‹/script> {＼an8}up, 1 < 2 & 3 > 2"


ODD = "a\0b\x1b[31m\ud800\ufffe\u2028\x85\r\n\n-->\U0001f600"


@pytest.mark.parametrize("ending", FORMATS)
def test_any_character_can_be_written(ending: str) -> None:
    """Control characters, halves of characters and line breaks, in text and name: every format is well formed, and what
    can be shown of them is there."""
    finals = [final(0, (0, 1, f"{ODD}田中", f"{ODD}今日")), final(10, (0, 1, None, "\0"))]
    if ending == "json":
        finals = [final(0, (0, 1, "田中\0\U0001f600", "今日\0\n"))]
    written = FORMATS[ending].bytes_of(finals)
    if ending == "docx":
        text = "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(written)).paragraphs)
    else:
        text = written.decode()
    assert "田中" in text and "今日" in text and "\U0001f600" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\ud800]", text)


def test_markdown_means_nothing_but_itself() -> None:
    """A title with the time of day, one paragraph for what a speaker says in a row, and no sign has a meaning."""
    talk = [
        final(5, (0, 1, "A*B", "# <b>1. x</b> & [y](z) `c` |"), (1, 2, "A*B", "more.")) | {"wall_start": WALL},
        final(20, (0, 1, None, "- 今日は。"), (2, 3, None, "はい。"), (4, 5, "田中", "うん。")),
        final(500, (0, 1, "田中", "later")),
    ]
    begun = datetime(2026, 1, 1, 2, 59, 55, tzinfo=UTC).astimezone()
    assert documents.to_md(talk) == (
        f"# Transcript {begun:%Y-%m-%d %H:%M}\n\n"
        r"**A\*B** (00:05) \# \<b\>1. x\</b\> \& \[y\]\(z\) \`c\` \| more." + "\n\n"
        "(00:20) - 今日は。はい。\n\n**田中** (00:24) うん。\n\n**田中** (08:20) later\n"
    )


WALL = "2026-01-01T03:00:00.000Z"


def test_a_word_document_has_who_said_what_when() -> None:
    """A heading, then a paragraph for each turn with a bold name; about the program nothing but the title."""
    document = docx.Document(io.BytesIO(documents.to_docx(TALK)))
    assert [paragraph.text for paragraph in document.paragraphs] == [
        "Transcript",
        "Speaker_00 [00:12] 今日は。",
        "Speaker_01 [00:14] はい。",
        "[1:02:05] so long",
    ]
    assert document.paragraphs[1].runs[0].bold
    assert (document.core_properties.title, document.core_properties.author) == ("Transcript", "")


def test_segments_without_text_make_no_cue() -> None:
    """An empty segment is no subtitle."""
    assert subtitles.to_srt([final(0, (0, 1, None, "  "))]) == ""
