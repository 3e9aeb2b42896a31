"""The words of OpenAI's realtime protocol for what our own says, and the other way round."""

import asyncio
import base64
import json
from typing import Any

import pytest
from starlette.datastructures import Headers

from wernicke_daemon.web import relay
from wernicke_daemon.web.openai.prompt import terms
from wernicke_daemon.web.openai.realtime.handshake import Handshake, check
from wernicke_daemon.web.openai.realtime.items import Items
from wernicke_daemon.web.openai.realtime.session import EVENTS, Session, shown, updated
from wernicke_daemon.web.openai.realtime.stream import Realtime
from wernicke_daemon.web.openai.request import Refused
from wernicke_daemon.web.relay import Heard, Message
from wernicke_daemon.wire import protocol

HELLO = {"session_id": "8f14e45fceea167a", "protocol": 1, "engines": {"asr": "pocketsphinx (as there is no other)"}}
STOPPED = ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed"]
ITEM = ["conversation.item.added", "conversation.item.done"]


def final(sequence: int, text: str, start: float = 10.0, speaker: str | None = None) -> Message:
    times = {"start": start, "end": start + 2.2}
    segment = {"start": 0.5, "end": 2.0, "text": text, "speaker": speaker}
    message = {"type": "final", "sequence": sequence, "text": text, "language": "en", "duration": 2.2}
    return message | {"segments": [segment], "timestamp_range": times}


def partial(sequence: int, text: str, stable: int | None = None, start: float = 10.0, stage: str = "live") -> Message:
    times = {"start": start, "end": start + 1.0}
    message = {"type": "partial", "sequence": sequence, "stage": stage, "timestamp_range": times}
    return message | {"text": text, "stable_chars": len(text) if stable is None else stable}


def suppressed(sequence: int) -> Message:
    return {"type": "suppressed", "sequence": sequence}


def failed(sequence: int | None) -> Message:
    return {"type": "error", "sequence": sequence, "code": "TRANSCRIPTION_FAILED", "message": "It failed."}


def flushed(sequence: int) -> Message:
    return {"type": "flushed", "sequence": sequence}


def items(*, by_voice: bool = True, beta: bool = False) -> Items:
    made = Items("item", beta)
    made.by_voice = by_voice
    return made


def told(some: Items, *messages: Message) -> list[Message]:
    return [event for message in messages for event in some.take(message)]


def kinds(events: list[Message]) -> list[str]:
    return [event["type"] for event in events]


def short(events: list[Message]) -> list[str]:
    """The last parts of their types, of what is not said of the item itself."""
    return [kind.rpartition(".")[2] for kind in kinds(events) if kind not in ITEM]


def only(events: list[Message], kind: str) -> list[Any]:
    """The field that matters of events whose type ends so."""
    fields = {"delta": "delta", "completed": "transcript", "committed": "previous_item_id", "segment": "speaker"}
    return [event[fields[kind]] for event in events if event["type"].endswith(f".{kind}")]


# --- items -----------------------------------------------------------------------------------------


def test_an_utterance_is_an_item() -> None:
    """Its events in OpenAI's order; times are those of all audio."""
    events = told(items(), partial(1, "good morning"), final(1, "good morning everyone"))
    delta, completed = (f"conversation.item.input_audio_transcription.{kind}" for kind in ("delta", "completed"))
    assert kinds(events) == ["input_audio_buffer.speech_started", delta, *STOPPED, *ITEM, delta, completed]
    assert (events[0]["audio_start_ms"], events[2]["audio_end_ms"]) == (10_000, 12_200)
    assert only(events, "delta") == ["good morning", " everyone"]
    assert events[-1]["transcript"] == "good morning everyone"
    assert (events[-1]["usage"]["seconds"], events[-1]["languages"]) == (3, [{"code": "en"}])
    assert {event.get("item_id", "item_001") for event in events} == {"item_001"}


def test_only_what_stays_is_a_delta() -> None:
    """What the final says otherwise is in the completed text alone."""
    some = items()
    events = told(some, partial(1, "one two", 3), partial(1, "one tow three", 7), final(1, "One, two three."))
    assert only(events, "delta") == ["one", " tow"] and only(events, "completed") == ["One, two three."]


def test_items_follow_each_other_though_text_overtakes() -> None:
    """What is said next shows that the one before has ended; it is completed later."""
    events = told(items(), partial(1, "one"), partial(2, "two", start=20.0), final(1, "one"), final(2, "two", 20.0))
    assert short(events) == [
        *("speech_started", "delta", "speech_stopped", "committed", "speech_started", "delta", "completed"),
        *("speech_stopped", "committed", "completed"),
    ]
    assert only(events, "committed") == [None, "item_001"] and events[2]["audio_end_ms"] == 11_000


def test_text_of_an_utterance_waits_for_those_before_it() -> None:
    some = items()
    assert told(some, partial(2, "two")) == []
    assert only(told(some, final(1, "one"), partial(2, "two")), "delta") == ["one", "two"]
    some = items(by_voice=False)
    assert only(told(some, partial(1, ""), partial(2, "two"), final(1, "one")), "delta") == ["one"]
    assert only(told(some, partial(2, "two")), "delta") == ["\ntwo"]


def test_what_was_no_speech_ends_an_item_that_was_begun() -> None:
    """And is not told of where it was not."""
    some = items()
    assert told(some, suppressed(1)) == []
    events = told(some, partial(2, ""), partial(2, "", stage="withdrawn"), suppressed(2))
    assert short(events) == ["speech_started", "speech_stopped", "committed", "completed"]
    assert events[-1]["transcript"] == ""


@pytest.mark.parametrize("begun", [True, False])
def test_an_utterance_that_failed_is_an_item_that_did(begun: bool) -> None:
    some = items()
    events = told(some, *([partial(1, "one")] if begun else []), failed(1), final(2, "two"))
    [event] = [event for event in events if event["type"].endswith(".failed")]
    assert event["item_id"] == "item_001" and event["error"]["message"] == "It failed."
    assert only(events, "committed") == [None, "item_001"] and only(events, "completed") == ["two"]


def test_a_commit_ends_what_is_being_said() -> None:
    """It is committed at once, and completed when all before it is known, which may come in any order."""
    some = items()
    told(some, partial(1, "one"))
    assert short(some.commit()) == ["committed"]
    assert told(some, flushed(1)) == []
    assert short(told(some, final(1, "one"), final(2, "two"))) == [
        *("completed", "speech_started", "speech_stopped", "committed", "delta", "completed"),
    ]


def test_without_turn_detection_an_item_is_what_was_said_up_to_a_commit() -> None:
    """Its deltas come from its first words on, under the id that it is committed with."""
    some = items(by_voice=False)
    events = told(some, partial(1, "one"), final(1, "one"), partial(2, "two"), partial(3, "three"), suppressed(2))
    assert short(events) == ["delta", "delta"]
    events += some.commit() + told(some, final(3, "three"), flushed(3), partial(4, "four"))
    assert only(events, "delta") == ["one", "\ntwo", "four"] and only(events, "completed") == ["one\nthree"]
    assert events[0]["item_id"] == events[-2]["item_id"] != events[-1]["item_id"]
    assert short(events)[2:] == ["committed", "completed", "delta"]


def test_commits_are_answered_in_order() -> None:
    """Those of silence with an empty text. What comes before a flush is through belongs to what it ends."""
    some = items(by_voice=False)
    events = [*some.commit(), *some.commit(), *told(some, flushed(0), partial(1, "one"), flushed(1), final(1, "one"))]
    events += some.commit() + told(some, flushed(1))
    assert only(events, "committed") == [None, "item_001", "item_002"]
    assert only(events, "completed") == ["", "one", ""]


def test_what_failed_among_others_does_not_take_them_along() -> None:
    some = items(by_voice=False)
    told(some, final(1, "one"), failed(2))
    some.commit()
    error, completed = told(some, flushed(2))
    assert (error["type"], error["error"]["type"], completed["transcript"]) == ("error", "server_error", "one")


@pytest.mark.parametrize("by_voice", [True, False])
def test_nothing_is_told_of_what_was_cleared(by_voice: bool) -> None:
    some = items(by_voice=by_voice)
    told(some, partial(1, "one"))
    some.clear()
    assert told(some, final(1, "one more"), flushed(1)) == []
    assert only(some.commit() + told(some, flushed(2), final(2, "two")), "completed") == ["two"]


def test_speakers_are_told_in_segments() -> None:
    some = items()
    assert only(told(some, final(1, "one", speaker="Speaker_03")), "segment") == []
    some.speakers = True
    events = told(some, final(2, "two", speaker="Speaker_01"), final(3, "three", 20.0, "田中"), suppressed(4))
    assert only(events, "segment") == ["A", "田中"]
    [_, segment] = [event for event in events if event["type"].endswith(".segment")]
    assert (segment["start"], segment["end"], segment["item_id"]) == (20.5, 22.0, "item_003")


def test_the_beta_has_another_name_for_an_item() -> None:
    assert "conversation.item.created" in kinds(told(items(beta=True), final(1, "one")))


def test_turn_detection_may_change() -> None:
    """What was said before is in one item, and told of."""
    some = items(by_voice=False)
    told(some, final(1, "one"), final(2, "two"))
    some.by_voice = True
    assert only(told(some, final(3, "three")), "completed") == ["one\ntwo", "three"]
    some.by_voice = False
    told(some, final(4, "four"), partial(5, "five"))
    some.by_voice = True
    assert only(told(some, final(5, "five")), "completed") == ["four\nfive"]


# --- options ---------------------------------------------------------------------------------------


def of_input(**fields: Any) -> Message:
    return {"type": "transcription", "audio": {"input": fields}}


def transcription(**fields: Any) -> Message:
    return of_input(transcription=fields)


def update(said: Any, session: Session | None = None, *, fixed: bool = False) -> Session:
    return updated(session or Session(), said, fixed=fixed)


def test_options_become_those_of_our_start() -> None:
    """The front takes them; what is not known is left out, what is not named stays."""
    said = transcription(
        model="x", language="en-US", keywords=["Wernicke"], prompt="Keywords: Broca、言語野", delay="low"
    )
    session = update(of_input(format={"type": "audio/pcm", "rate": 16_000}, invented=1), update(said))
    assert protocol.parse(json.dumps(session.start)) == protocol.Start(
        16_000, 1, "s16le", "en", ["Wernicke", "Broca", "言語野"], EVENTS, words=False
    )
    assert "language" not in Session().start and Session().start["sample_rate"] == 24_000


def test_the_beta_says_it_at_the_top() -> None:
    said = {"input_audio_format": "pcm16", "input_audio_transcription": {"language": "ja"}, "turn_detection": None}
    session = update(said)
    assert (session.rate, session.language, session.turn_detection) == (24_000, "ja", None)


@pytest.mark.parametrize(
    ("languages", "language"), [([], None), (["en"], "en"), (["en-US", "en-GB"], "en"), (["en", "ja"], "auto")]
)
def test_of_several_languages_it_is_found_out_which(languages: list[str], language: str | None) -> None:
    assert update(transcription(languages=languages)).language == language


def test_turns_are_as_asked_for_or_as_the_model_has_them() -> None:
    assert update(transcription(model="gpt-4o-transcribe")).turn_detection == "server_vad"
    committed = update(transcription(model="gpt-live-transcribe"))
    assert committed.turn_detection is None
    assert update(of_input(turn_detection={"type": "semantic_vad"}), committed).turn_detection == "semantic_vad"
    assert update(of_input(turn_detection=None)).turn_detection is None


@pytest.mark.parametrize(
    ("said", "param"),
    [
        (5, "session"),
        ({"type": "realtime"}, "session.type"),
        (of_input(format={"type": "audio/pcmu"}), "session.audio.input.format"),
        ({"input_audio_format": "g711_alaw"}, "session.audio.input.format"),
        (of_input(format={"rate": 1}), "session.audio.input.format.rate"),
        (of_input(transcription=None), "session.audio.input.transcription"),
        (of_input(turn_detection={"type": "by_hand"}), "session.audio.input.turn_detection.type"),
        (transcription(language="english"), "session.audio.input.transcription.language"),
        (transcription(keywords=["x" * 101]), "session.audio.input.transcription.keywords[0]"),
    ],
)
def test_what_can_not_be_had_is_refused_by_name(said: Any, param: str) -> None:
    with pytest.raises(Refused, match=param.rpartition(".")[2].partition("[")[0]) as refused:
        update(said)
    assert refused.value.param == param


def test_once_audio_has_come_hints_stay_and_the_rest_is_refused() -> None:
    """As the answer shows; clients send all their options again."""
    before = update(transcription(language="en", keywords=["Wernicke"]))
    after = update(transcription(language="en", keywords=["Broca"]), before, fixed=True)
    assert after == before
    assert update(of_input(turn_detection=None), before, fixed=True).turn_detection is None
    for said in (transcription(language="ja"), of_input(format={"rate": 16_000})):
        with pytest.raises(Refused, match="once audio has come"):
            update(said, before, fixed=True)


def test_a_client_is_shown_what_is_in_force() -> None:
    said = of_input(turn_detection={"type": "server_vad", "silence_duration_ms": 200}, noise_reduction={"type": "x"})
    session = shown(update(said), "id", 2000)["audio"]["input"]
    assert session["turn_detection"] == {"type": "server_vad", "silence_duration_ms": 2000}
    assert session["noise_reduction"] is None


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("", []),
        ("Wernicke, Broca's area", ["Wernicke", "Broca's area"]),
        ("Keywords: Wernicke; Broca", ["Wernicke", "Broca"]),
        ("expect words related to technology", []),
        ("おはようございます。今日は、会議です。", []),
    ],
)
def test_a_prompt_that_lists_terms_is_a_glossary(prompt: str, found: list[str]) -> None:
    assert terms(prompt) == found


# --- before the connection is accepted -------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "query", "shake"),
    [
        ({"authorization": "Bearer abc"}, {"intent": "transcription"}, ("abc", None, False, "session.created")),
        ({"authorization": "Basic abc"}, {}, ("", None, False, "session.created")),
        (
            {"authorization": "Bearer abc", "openai-beta": "realtime=v1"},
            {"intent": "transcription"},
            ("abc", None, True, "transcription_session.created"),
        ),
        (
            {"sec-websocket-protocol": "realtime, openai-insecure-api-key.abc, openai-beta.realtime-v1"},
            {},
            ("abc", "realtime", True, "session.created"),
        ),
    ],
)
def test_a_client_says_who_it_is_and_what_it_speaks(
    headers: dict[str, str], query: dict[str, str], shake: tuple[str, str | None, bool, str]
) -> None:
    assert Handshake.of(Headers(headers), query) == Handshake(*shake, model="")


def test_only_transcription_is_done() -> None:
    """Whichever model is named; an intent may be left out."""
    check({"model": "gpt-realtime"})
    for query in ({"intent": "conversation"}, {"call_id": "rtc_1"}):
        with pytest.raises(Refused, match="|".join(query)):
            check(query)


# --- the stream ------------------------------------------------------------------------------------


def stream(model: str = "") -> Realtime:
    return Realtime(Handshake("", None, False, "session.created", model), HELLO, 2000)


def say(stream: Realtime, kind: str, **fields: Any) -> Heard:
    return stream.heard(json.dumps({"type": kind, "event_id": "mine"} | fields))


def append(stream: Realtime, audio: bytes) -> Heard:
    return say(stream, "input_audio_buffer.append", audio=base64.b64encode(audio).decode())


def test_audio_follows_the_options_that_it_has() -> None:
    talking = stream()
    say(talking, "session.update", session=transcription(language="en"))
    options, audio = append(talking, bytes(6)).to_front
    assert json.loads(options)["language"] == "en" and audio == bytes(6)
    assert append(talking, b"\0\0").to_front == [b"\0\0"] and append(talking, b"") == Heard([])


def test_events_are_numbered_and_a_model_without_a_name_is_ours() -> None:
    some = stream()
    [first] = some.begun()
    [second] = say(some, "session.update", session={}).to_client
    assert first["session"]["audio"]["input"]["transcription"]["model"] == "pocketsphinx"
    assert (second["type"], first["event_id"] != second["event_id"]) == ("session.updated", True)


def test_an_update_in_the_betas_words_is_answered_in_them() -> None:
    [answer] = say(stream(), "transcription_session.update", session={"turn_detection": None}).to_client
    assert answer["type"] == "transcription_session.updated" and answer["session"]["turn_detection"] is None


def test_a_commit_or_clear_needs_a_tenth_of_a_second() -> None:
    """Since the last one. What is cleared is cleared in any case."""
    some = stream()
    for _ in range(2):
        append(some, bytes(4798))
        [error] = say(some, "input_audio_buffer.commit").to_client
        assert (error["error"]["code"], error["error"]["event_id"]) == ("input_audio_buffer_commit_empty", "mine")
        append(some, b"\0\0")
        assert say(some, "input_audio_buffer.commit").to_front == [relay.FLUSH]
    for audio, passed_on in ((b"\0\0", ()), (bytes(4800), [relay.FLUSH])):
        append(some, audio)
        heard = say(some, "input_audio_buffer.clear")
        assert heard.to_front == passed_on and kinds(list(heard.to_client)) == ["input_audio_buffer.cleared"]


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        (b"\0\0", None),
        ("", None),
        ("[]", None),
        ("[" * 100_000, None),
        ("\ud800", None),
        ('{"type": []}', None),
        ('{"type": "response.create"}', "type"),
        ('{"type": "input_audio_buffer.append"}', None),
        ('{"type": "input_audio_buffer.append", "audio": "###"}', "audio"),
        ('{"type": "session.update", "session": {"type": "realtime"}}', "session.type"),
    ],
)
def test_what_is_not_understood_is_told_so(frame: str | bytes, param: str | None) -> None:
    """And nothing of it is passed on."""
    heard = stream().heard(frame)
    [error] = heard.to_client
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error") and not heard.to_front
    assert error["error"]["param"] == param and error["error"]["message"].endswith((".", "understood."))


def test_errors_have_our_code_and_sentence() -> None:
    some = stream()
    for code, kind in (("INVALID_AUDIO_FORMAT", "invalid_request_error"), ("INTERNAL_ERROR", "server_error")):
        [event] = some.told(failed(None) | {"code": code})
        assert event["error"] | {"event_id": 0} == {
            **{"type": kind, "code": code, "message": "It failed.", "param": None, "event_id": 0}
        }
    assert some.told({"type": "connection_established"}) == []


class Gone:
    """A front that has hung up, and a client that is still there. told: what it gets."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.code: int | None = None

    async def send(self, data: str | bytes) -> None:
        pass

    def __aiter__(self) -> "Gone":
        return self

    async def __anext__(self) -> str:
        raise StopAsyncIteration

    async def receive(self) -> Message:
        return await asyncio.Future()

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))

    async def close(self, code: int, reason: str = "") -> None:
        self.code = code


@pytest.mark.asyncio
async def test_a_client_is_told_that_the_daemon_has_gone() -> None:
    both: Any = Gone()
    await relay.Stream(both, both, stream()).run()
    assert kinds(both.told) == ["session.created", "error"] and both.code == protocol.CLOSE_INTERNAL
    assert both.told[-1]["error"]["message"] == relay.BROKEN_OFF
