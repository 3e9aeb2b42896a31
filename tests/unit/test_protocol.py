"""Messages of the WebSocket: what is understood, what is refused, what is sent."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import EVENTS, Flush, InvalidMessage, Keepalive, Start, Stop

SEGMENT = protocol.SegmentOut(0.0, 1.0, "text", None, False, None)


def test_the_four_messages() -> None:
    """start, flush, stop and keepalive are understood."""
    assert protocol.parse('{"type":"flush"}') == Flush()
    assert protocol.parse('{"type":"stop"}') == Stop()
    assert protocol.parse('{"type":"keepalive"}') == Keepalive()
    start = protocol.parse('{"type":"start","sample_rate":16000,"channels":1,"encoding":"s16le","words":false}')
    assert start == Start(sample_rate=16_000, channels=1, encoding="s16le", words=False)


def test_the_type_may_stand_anywhere_and_unknown_fields_are_left_alone() -> None:
    """Newer clients may say more."""
    assert protocol.parse('{"colour": {"deep": [1]}, "language": "ja", "type": "start"}') == Start(language="ja")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        '{"type":"dance"}',
        '{"type":1}',
        '{"type":"flush"',
        '{"type":"start"} {"type":"stop"}',
        '{"type":"start","sample_rate":"fast"}',
        '{"type":"start","sample_rate":16000.5}',
        '{"type":"start","sample_rate":' + "9" * 5000 + "}",
        '{"type":"start","language":"Japanese"}',
        '{"type":"start","language":"ja\\n"}',
        '{"type":"start","glossary":["' + "x" * 101 + '"]}',
        '{"type":"start","glossary":' + json.dumps(["x"] * 201) + "}",
        '{"type":"start","events":[1]}',
        '{"type":"start","events":"\\ud800"}',
        '{"type":"start","x":"\ud800"}',
        '{"type":"start","x":' + "[" * 100_000,
    ],
    ids=lambda text: text[:40].encode("ascii", "backslashreplace").decode(),
)
def test_what_is_refused(text: str) -> None:
    """Anything else is an InvalidMessage that says what is understood."""
    with pytest.raises(InvalidMessage, match="start, flush, stop, keepalive or name"):
        protocol.parse(text)


@pytest.mark.parametrize("number", ["16000", "16000.0", "1.6e4", '"16000"'])
def test_a_number_is_the_same_however_it_is_written(number: str) -> None:
    """As in the address."""
    assert protocol.parse(f'{{"type":"start","sample_rate":{number}}}') == Start(sample_rate=16_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["type", *Start.__struct_fields__])
MESSAGES = st.dictionaries(FIELDS, JSON | st.sampled_from(["start", "flush"]), max_size=4).map(json.dumps)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(), max_size=40) | MESSAGES)
@example("\ud800")
def test_any_text_is_understood_or_refused(text: str) -> None:
    """Whatever a client sends as text, nothing but InvalidMessage is raised."""
    try:
        assert isinstance(protocol.parse(text), Start | Flush | Stop | Keepalive)
    except InvalidMessage as error:
        assert str(error)


def test_options_from_a_query() -> None:
    """The Mac client's query, and everything else that start knows."""
    query = {"sample_rate": "16000", "channels": "1", "events": "session,partial", "words": "false", "language": "auto"}
    assert protocol.options_from_query(query) == Start(
        sample_rate=16_000, channels=1, events="session,partial", words=False, language="auto"
    )


def test_a_glossary_in_a_query() -> None:
    """Terms are separated by commas; empty ones are none."""
    assert protocol.options_from_query({"glossary": "Wernicke,,Broca"}).glossary == ["Wernicke", "Broca"]


def test_an_empty_query_and_unknown_names() -> None:
    """What is not said is None; a token or a proxy's own parameters are not ours."""
    assert protocol.options_from_query({}) == Start()
    assert protocol.options_from_query({"token": "secret", "type": "stop"}) == Start()


@pytest.mark.parametrize(
    "query", [{"sample_rate": "fast"}, {"channels": ""}, {"words": "perhaps"}, {"language": "JA"}, {"language": "ja\n"}]
)
def test_a_query_that_makes_no_sense(query: dict[str, str]) -> None:
    """The error names the option."""
    with pytest.raises(InvalidMessage, match=next(iter(query))):
        protocol.options_from_query(query)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(Start.__struct_fields__), st.text(max_size=12), max_size=4))
def test_any_query_is_understood_or_refused(query: dict[str, str]) -> None:
    """Nothing but InvalidMessage comes of a query, its events included."""
    try:
        protocol.parse_events(protocol.options_from_query(query).events)
    except InvalidMessage as error:
        assert str(error)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (None, set()),
        ("", set()),
        ([], set()),
        ("partial", {"partial"}),
        (" session, partial ,", {"session", "partial"}),
        (["ack", "status"], {"ack", "status"}),
        ("all", set(EVENTS)),
        (["partial", "all"], set(EVENTS)),
    ],
)
def test_events(asked: str | list[str] | None, wanted: set[str]) -> None:
    """A list or names with commas; `all` is all."""
    assert protocol.parse_events(asked) == wanted


def test_an_unknown_event_is_named() -> None:
    """The error says which one, and which there are."""
    with pytest.raises(InvalidMessage, match=r"'finals'.*partial.*suppressed"):
        protocol.parse_events("partial,finals")


def test_every_message_has_a_type_of_its_own() -> None:
    """Clients tell messages apart by `type`; the documented ones are there."""
    types = [kind.__struct_config__.tag for kind in protocol.ServerMessage.__subclasses__()]
    assert len(set(types)) == len(types)
    assert set(types) >= {
        "connection_established",
        "audio_received",
        "partial",
        "final",
        "suppressed",
        "warning",
        "degraded",
        "restored",
        "gap",
        "error",
        "session_ended",
    }


def test_the_type_is_sent() -> None:
    """It stands in the field `type`."""
    assert json.loads(protocol.encode(protocol.SessionEnded("s")))["type"] == "session_ended"


def test_a_final_on_the_wire() -> None:
    """Field names and shapes are the documented ones, Japanese included."""
    final = protocol.Final(
        session_id="s",
        buffer_id="b",
        sequence=1,
        revision=3,
        text="今日",
        segments=[SEGMENT],
        timestamp_range=protocol.TimestampRange(12.48, 18.68),
        wall_start="2026-01-01T03:00:12.480Z",
        language="ja",
        duration=6.2,
        processing_time=1.4,
        latency_ms=35,
        trigger="silence",
        models_used={"whisper": "large-v3", "llm": None},
        warnings=[],
    )
    sent = json.loads(protocol.encode(final))
    assert sent["type"] == "final"
    assert sent["text"] == "今日"
    assert sent["timestamp_range"] == {"start": 12.48, "end": 18.68}
    assert sent["segments"] == [
        {"start": 0.0, "end": 1.0, "text": "text", "speaker": None, "corrected": False, "original_text": None}
    ]


def test_a_gap_on_the_wire() -> None:
    """It says `from` and `to`."""
    sent = json.loads(protocol.encode(protocol.Gap(1.0, 2.5, "INTERNAL_ERROR")))
    assert sent == {"type": "gap", "from": 1.0, "to": 2.5, "reason": "INTERNAL_ERROR"}


def test_an_error_on_the_wire() -> None:
    """`type` and `error` both mark it; details and buffer are always there."""
    sent = json.loads(protocol.encode(protocol.error("INVALID_MESSAGE", "Say it in JSON.", buffer_id="b")))
    assert sent.pop("timestamp").endswith("Z")
    assert {name: sent[name] for name in ("type", "error", "code", "message", "details", "buffer_id")} == {
        "type": "error",
        "error": True,
        "code": "INVALID_MESSAGE",
        "message": "Say it in JSON.",
        "details": None,
        "buffer_id": "b",
    }


def test_a_reason_becomes_a_sentence() -> None:
    """Capital and full stop are put where they are missing; names inside keep their own."""
    assert protocol.sentence("the model can't read CUDA memory") == "The model can't read CUDA memory."
    assert protocol.sentence("Try again.") == "Try again."


def test_times_of_day() -> None:
    """UTC with milliseconds, also at a full second."""
    assert protocol.utc_text(1_767_236_412.48) == "2026-01-01T03:00:12.480Z"
    assert protocol.utc_text(0.0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(("said", "bounds"), [(4, (4, 4)), ("4", (4, 4)), ("2-5", (2, 5)), ("3-3", (3, 3))])
def test_how_many_people_speak(said: str | int, bounds: tuple[int, int]) -> None:
    """A number, or from one to another; in JSON and in the query."""
    assert protocol.parse_speakers(said) == bounds
    assert protocol.options_from_query({"speakers": str(said)}).speakers == str(said)
    message = protocol.parse(json.dumps({"type": "start", "speakers": said}))
    assert isinstance(message, Start) and message.speakers is not None
    assert protocol.parse_speakers(message.speakers) == bounds


@pytest.mark.parametrize("said", ["0", "5-2", "51", "1-51", 0])
def test_impossible_numbers_of_people(said: str | int) -> None:
    """A sentence that says what may stand there."""
    with pytest.raises(InvalidMessage, match=r"from 1 to 50, or two of them such as 2-5"):
        protocol.parse_speakers(said)


@pytest.mark.parametrize("said", ["-1", "four", "2-", "2-5-7", "", "٤"])
def test_what_is_no_number_of_people(said: str) -> None:
    with pytest.raises(InvalidMessage, match="speakers"):
        protocol.options_from_query({"speakers": said})
