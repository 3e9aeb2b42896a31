"""OpenAI's words for what our own protocol says, and the other way round."""

import json
from typing import Any

import pytest

from wernicke_daemon.web import refusals
from wernicke_daemon.web.openai import answers
from wernicke_daemon.web.openai.request import Asked, Refused, asked
from wernicke_daemon.wire import protocol


def final(sequence: int, text: str, speaker: str | None, start: float) -> dict[str, Any]:
    words = [{"start": 0.5 + at, "end": 1.0 + at, "word": word, "score": 0.5} for at, word in enumerate(text.split())]
    segment = {"start": 0.5, "end": 2.0, "text": text, "speaker": speaker, "words": words}
    times = {"start": start, "end": start + 3}
    return {"sequence": sequence, "text": text, "language": "en", "segments": [segment], "timestamp_range": times}


TALK = [
    final(1, "Good morning", "Speaker_07", 10.0),
    final(2, "こんにちは", "田中", 20.0),
    final(3, "", None, 25.0) | {"segments": []},
    final(4, "Yes", "Speaker_00", 30.0),
]


def wanted(**fields: str) -> Asked:
    return asked([("model", "whisper-1"), *fields.items()])


def test_fields_become_options_of_our_start() -> None:
    """The front takes it; what is not known is left out."""
    fields = [("keywords[]", "Wernicke"), ("keywords[]", "Broca"), ("language", "en-US"), ("invented", "1")]
    started = asked([*fields, ("stream", "True"), ("timestamp_granularities[]", "word")])
    assert started.streams and started.words and started.format == "json"
    assert protocol.parse(json.dumps(started.start)) == protocol.Start(
        16_000, 1, "s16le", "en", ["Wernicke", "Broca"], ["speaker", "ack"]
    )
    assert "language" not in wanted().start


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "docx"}, "response_format"),
        ({"stream": "perhaps"}, "stream"),
        ({"stream": "true", "response_format": "srt"}, "stream"),
    ],
)
def test_what_can_not_be_had_is_refused_by_name(fields: dict[str, str], param: str) -> None:
    with pytest.raises(Refused, match=param) as refused:
        wanted(**fields)
    assert refused.value.param == param


def test_times_are_those_of_the_file() -> None:
    made = answers.answer(wanted(response_format="verbose_json", **{"timestamp_granularities[]": "word"}), TALK, 33.2)
    assert isinstance(made, dict)
    assert [(segment["id"], segment["start"], segment["end"]) for segment in made["segments"]] == [
        (0, 10.5, 12.0),
        (1, 20.5, 22.0),
        (2, 30.5, 32.0),
    ]
    assert made["words"][1] == {"word": "morning", "start": 11.5, "end": 12.0}
    assert made["text"] == "Good morning\nこんにちは\nYes" and made["usage"]["seconds"] == 34


def test_speakers_are_letters_or_names() -> None:
    """In the order in which they are heard."""
    made = answers.answer(wanted(response_format="diarized_json"), TALK, 33.0)
    assert isinstance(made, dict)
    assert [segment["speaker"] for segment in made["segments"]] == ["A", "田中", "B"]
    assert len({segment["id"] for segment in made["segments"]}) == 3
    assert [answers.letter(number) for number in (0, 25, 26, 52, 701, 702)] == ["A", "Z", "AA", "BA", "ZZ", "AAA"]


def test_deltas_add_up_to_the_text() -> None:
    deltas = [answers.delta_of(each, first=number == 0) for number, each in enumerate(TALK)]
    assert "".join(deltas) == answers.text_of(TALK)


def test_subtitles_name_nobody() -> None:
    """As OpenAI's; text of a file without speech is empty."""
    srt = answers.answer(wanted(response_format="srt"), TALK, 33.0)
    assert (
        isinstance(srt, str)
        and srt.startswith("1\n00:00:10,500 --> 00:00:12,000\nGood morning\n")
        and "田中" not in srt
    )
    assert answers.answer(wanted(), [], 2.0) == {"text": "", "usage": {"type": "duration", "seconds": 2}}


def test_refusals_have_the_shape_of_whom_they_are_for() -> None:
    assert refusals.body("/sessions", 404, "No.") == {"error": "No."}
    told = refusals.body("/v1/models", 401, "No.")["error"]
    assert told == {"message": "No.", "type": "authentication_error", "param": None, "code": "invalid_api_key"}
