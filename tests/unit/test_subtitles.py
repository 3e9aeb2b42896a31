"""Finals written as text, subtitles and JSON."""

import json
from typing import Any

import pytest

from wernicke_daemon.formats import subtitles


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


def test_times_round_to_valid_cues() -> None:
    """Rounding carries into the seconds, and an end is never before or at its start."""
    text = subtitles.to_srt([final(59.9996, (0, 0, None, "blip"))])
    assert "00:01:00,000 --> 00:01:00,001" in text


def test_segments_without_text_make_no_cue() -> None:
    """An empty segment is no subtitle."""
    assert subtitles.to_srt([final(0, (0, 1, None, "  "))]) == ""
