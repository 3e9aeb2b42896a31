"""Deepgram's words for what our own protocol says, and the other way round."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.datastructures import Headers
from websockets.datastructures import Headers as SentHeaders
from websockets.exceptions import ConnectionClosedError
from websockets.http11 import Response

from ipc.errors import WernickeError
from wernicke_daemon.web import refusals, relay
from wernicke_daemon.web.deepgram import commands, keys, listen
from wernicke_daemon.web.deepgram.options import EVENTS, Asked, asked
from wernicke_daemon.web.deepgram.results import Translation
from wernicke_daemon.web.relay import Message
from wernicke_daemon.wire import protocol

HELLO = {"session_id": "8f14e45fceea167a", "protocol": 1, "engines": {"asr": "pocketsphinx (as there is no other)"}}
RAW = [("encoding", "linear16"), ("sample_rate", "16000")]


def wanted(**options: str) -> Asked:
    return asked([*RAW, *options.items()])


def segment(start: float, text: str, speaker: str | None) -> Message:
    words = [
        {"start": start + 0.5 * at, "end": start + 0.5 * at + 0.4, "word": word, "score": 0.5, "speaker": speaker}
        for at, word in enumerate(text.split())
    ]
    end = words[-1]["end"] if words else start
    return {"start": start, "end": end, "text": text, "speaker": speaker, "words": words}


def final(*segments: Message, sequence: int = 1, start: float = 10.0, **more: Any) -> Message:
    times = {"start": start, "end": start + 5}
    shape = {"type": "final", "sequence": sequence, "timestamp_range": times, "segments": list(segments)}
    return shape | {"trigger": "silence"} | more


def partial(text: str, start: float, end: float, stage: str = "live") -> Message:
    times = {"start": start, "end": end}
    return {"type": "partial", "sequence": 1, "stage": stage, "text": text, "timestamp_range": times, "segments": []}


def test_a_stream_of_any_language_says_which_it_was() -> None:
    """In what is final; else it is known."""
    said = final(segment(0.5, "こんにちは", None), language="ja")
    for language, languages in (("multi", ["ja"]), ("ja", None)):
        [told] = Translation(wanted(language=language), HELLO).take(said)
        assert told["channel"]["alternatives"][0].get("languages") == languages


def test_options_become_those_of_our_start() -> None:
    """Repeated terms are the glossary, a region is no language, what is not known is left out."""
    query = [*RAW, ("language", "en-US"), ("keyterm", "Wernicke"), ("keyterm", "a, b"), ("keywords", "Broca:2")]
    started = asked([*query, ("model", "nova-3"), ("smart_format", "true"), ("interim_results", "True")])
    assert started.interim and not started.diarize
    assert started.start == {
        "type": "start",
        "sample_rate": 16_000,
        "channels": 1,
        "encoding": "s16le",
        "language": "en",
        "glossary": ["Wernicke", "a, b", "Broca"],
        "events": ["session", "partial", "speaker", "suppressed", "flush"],
    }
    assert protocol.parse(json.dumps(started.start)) == protocol.Start(
        16_000, 1, "s16le", "en", ["Wernicke", "a, b", "Broca"], EVENTS
    )
    assert wanted(language="multi").language == "auto" and "language" not in wanted().start


@pytest.mark.parametrize(
    "query",
    [
        [("sample_rate", "16000")],
        [("encoding", "opus"), ("sample_rate", "16000")],
        [("encoding", "linear16")],
        [("encoding", "linear16"), ("sample_rate", "many")],
        [("encoding", "linear16"), ("sample_rate", "1")],
        [*RAW, ("channels", "2"), ("multichannel", "true")],
        [*RAW, ("interim_results", "maybe")],
        [*RAW, ("callback", "https://example.org")],
        [*RAW, ("redact", "pci")],
    ],
)
def test_what_can_not_be_had_is_refused_in_a_sentence(query: list[tuple[str, str]]) -> None:
    with pytest.raises(WernickeError, match=r"[a-z_]+ (must|is not supported).+"):
        asked(query)


def test_a_result_for_each_line_with_times_from_the_start_of_the_stream() -> None:
    """The last one of an utterance says that speech has ended; the corrected text has the recognised words."""
    translation = Translation(wanted(diarize="true", utterance_end_ms="1000"), HELLO)
    lines = segment(1.0, "How, are.", "Speaker_04") | {"text": "How are you?"}, segment(3.0, "Fine", "Speaker_00")
    first, second, end = translation.take(final(*lines))
    [alternative] = first["channel"]["alternatives"]
    assert (first["start"], first["duration"], first["is_final"], first["speech_final"]) == (11.0, 0.9, True, False)
    assert alternative["transcript"] == "How are you?" and alternative["confidence"] == 0.5
    times = {"start": 11.0, "end": 11.4, "confidence": 0.5}
    assert alternative["words"][0] == {"word": "how", "punctuated_word": "How,", "speaker": 0, **times}
    assert second["speech_final"] and second["channel"]["alternatives"][0]["words"][0]["speaker"] == 1
    assert end == {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 13.4}


def test_speakers_are_told_only_where_they_were_asked_for_and_known() -> None:
    for options, speaker in (({}, "Speaker_00"), ({"diarize": "true"}, None)):
        [result] = Translation(wanted(**options), HELLO).take(final(segment(0.0, "Yes", speaker)))
        assert "speaker" not in result["channel"]["alternatives"][0]["words"][0]


def test_a_voice_keeps_its_number_when_it_gets_a_name() -> None:
    """Another label is another voice."""
    translation = Translation(wanted(diarize_model="latest"), HELLO)
    numbers = list[int]()
    for sequence, (speaker, later) in enumerate(
        [("Speaker_00", "田中"), ("田中", "Speaker_01"), ("Speaker_01", "鈴木"), ("鈴木", None)], start=1
    ):
        [result] = translation.take(final(segment(0.0, "Yes", speaker), sequence=sequence))
        numbers.append(result["channel"]["alternatives"][0]["words"][0]["speaker"])
        told = [{"index": 0, "speaker": later}]
        assert translation.take({"type": "speaker_update", "sequence": sequence, "segments": told}) == []
    assert numbers == [0, 0, 1, 1]


def test_interim_results_begin_where_the_utterance_does() -> None:
    """Words without times are spread over the text; the utterance is announced once."""
    translation = Translation(wanted(interim_results="true", vad_events="true"), HELLO)
    started, first = translation.take(partial("one", 10.0, 11.0))
    assert started == {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 10.0}
    assert not first["is_final"] and first["channel"]["alternatives"][0]["transcript"] == "one"
    [second] = translation.take(partial("one more", 11.0, 12.0))
    assert (second["start"], second["duration"]) == (10.0, 2.0)
    words = second["channel"]["alternatives"][0]["words"]
    assert [(word["word"], word["start"], word["end"]) for word in words] == [
        ("one", 10.0, 10.857),
        ("more", 10.857, 12.0),
    ]
    [result] = translation.take(final(segment(0.0, "One more.", None), trigger="flush"))
    assert result["is_final"] and result["from_finalize"] and result["speech_final"]


FLUSHED: dict[str, Any] = {"type": "flushed", "sequence": 1}


def of_finalize(told: list[Message]) -> list[str]:
    return [each["channel"]["alternatives"][0]["transcript"] for each in told if each["from_finalize"]]


@pytest.mark.parametrize("outcome", ["final", "suppressed", "error"])
def test_a_finalize_that_ends_no_line_is_answered_too(outcome: str) -> None:
    """Once all before it has its result. Who spoke gets the line alone, whichever of the two comes first."""
    became = {
        "final": final(segment(0.0, "Yes", None)),
        "suppressed": {"type": "suppressed", "sequence": 1},
        "error": {"type": "error", "sequence": 1, "code": "TRANSCRIPTION_FAILED", "message": "It failed."},
    }
    translation = Translation(wanted(), HELLO)
    [empty] = translation.take({"type": "flushed", "sequence": 0})
    assert empty["is_final"] and empty["speech_final"] and of_finalize([empty]) == [""]
    assert translation.take(FLUSHED) == []
    assert of_finalize([each for each in translation.take(became[outcome]) if each["type"] == "Results"]) == [""]


@pytest.mark.parametrize("line_first", [False, True])
def test_a_finalize_is_answered_once(line_first: bool) -> None:
    """By the line that it ended, or by an empty one where it ended none, as a second one does."""
    translation = Translation(wanted(), HELLO)
    line = final(segment(0.0, "Yes", None), trigger="flush")
    both = [line, FLUSHED] if line_first else [FLUSHED, line]
    assert of_finalize([told for each in both for told in translation.take(each)]) == ["Yes"]
    [again] = translation.take(FLUSHED)
    assert of_finalize([again]) == [""] and (again["start"], again["duration"]) == (10.4, 0.0)


def test_without_being_asked_for_nothing_comes_before_the_final() -> None:
    translation = Translation(wanted(endpointing="false"), HELLO)
    assert translation.take(partial("one", 10.0, 11.0)) == []
    [result] = translation.take(final(segment(0.0, "One", None)))
    assert not result["speech_final"]


def test_text_that_is_withdrawn_is_taken_back() -> None:
    translation = Translation(wanted(interim_results="true"), HELLO)
    translation.take(partial("noise", 10.0, 11.0))
    [result] = translation.take(partial("", 10.0, 11.0, stage="withdrawn"))
    assert result["channel"]["alternatives"][0]["transcript"] == ""


def test_an_error_has_our_sentence() -> None:
    said = {"type": "error", "code": "TRANSCRIPTION_FAILED", "message": "It failed.", "sequence": 1}
    [error] = Translation(wanted(), HELLO).take(said)
    assert (error["type"], error["variant"], error["description"]) == ("Error", "TRANSCRIPTION_FAILED", "It failed.")


def test_commands_are_ours_and_others_are_told_so() -> None:
    for theirs, kind in (
        ("KeepAlive", protocol.Keepalive),
        ("Finalize", protocol.Flush),
        ("CloseStream", protocol.Stop),
    ):
        ours = commands.ours(f'{{"type": "{theirs}"}}')
        assert ours is not None and isinstance(protocol.parse(ours), kind)
    for nonsense in ("", "[]", '{"type": "Configure"}', '{"type": []}', "\ud800", "[" * 100_000):
        assert commands.ours(nonsense) is None
    assert commands.refusal("x", "id")["message"] == "x"
    assert commands.refusal('{"type": "Configure"}', "id")["type"] == "ConfigureFailure"


@pytest.mark.parametrize(
    ("headers", "offered"),
    [
        ({"authorization": "Token abc"}, ("abc", None)),
        ({"authorization": "Bearer abc"}, ("abc", None)),
        ({"authorization": "Basic abc"}, ("", None)),
        ({"sec-websocket-protocol": "token, abc"}, ("abc", "token")),
        ({"sec-websocket-protocol": "chat"}, ("", None)),
        ({}, ("", None)),
    ],
)
def test_a_key_may_come_in_any_of_their_ways(headers: dict[str, str], offered: tuple[str, str | None]) -> None:
    assert keys.offered(Headers(headers)) == offered


class BrokenLine:
    """To the front, which has hung up: it takes nothing more, and what it said last is still to be read."""

    async def send(self, data: str | bytes) -> None:
        raise ConnectionClosedError(None, None)

    async def __aiter__(self) -> AsyncIterator[str]:
        for text in ("eins", "zwei"):
            for _ in range(9):
                await asyncio.sleep(0)  # the client's audio is passed on meanwhile
            yield json.dumps(final(segment(0.0, text, None)))


class Talking:
    """A client that sends audio until it is hung up on. told: what it gets."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.code: int | None = None

    async def receive(self) -> Message:
        await asyncio.sleep(0)
        return {"type": "websocket.receive", "bytes": b"\0\0"}

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))

    async def close(self, code: int, reason: str = "") -> None:
        self.code = code


@pytest.mark.asyncio
async def test_where_the_front_hangs_up_nothing_that_it_said_is_lost() -> None:
    """The client is told the last results and the end, however much it still sends."""
    client: Any = Talking()
    line: Any = BrokenLine()
    await relay.Stream(client, line, listen.Deepgram(wanted(), HELLO)).run()
    said = [each["channel"]["alternatives"][0]["transcript"] for each in client.told if each["type"] == "Results"]
    assert (said, client.told[-1]["type"], client.code) == (["eins", "zwei"], "Error", protocol.CLOSE_INTERNAL)


def test_no_refusal_has_more_than_one_line_in_its_header() -> None:
    """Whatever is quoted in it."""
    with pytest.raises(WernickeError) as refused:
        asked([("encoding", "x\r\nSet-Cookie: a=b\r\n\r\n日本語")])
    header = SentHeaders([("dg-error", refusals._in_header(str(refused.value)))])
    lines = Response(400, "Bad Request", header, b"").serialize().split(b"\r\n")
    assert len(lines) == 4 and lines[1].startswith(b"dg-error: encoding must be")
