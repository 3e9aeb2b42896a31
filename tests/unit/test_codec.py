"""Messages as bytes and back, and bytes that are no message."""

from collections.abc import Callable
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipc import codec, messages
from ipc.audio_handle import AudioHandle
from ipc.messages import Message
from ipc.settings import StageSettings

Decode = Callable[[bytes], Message]

HANDLE = AudioHandle("wernicke_1_0", 2, 3, 480_000, 16_000)
WORD = messages.Word(0.1, 0.5, " 今日", 0.97)
SEGMENT = messages.Segment(0.1, 1.85, "今日は", (WORD,))
PIECES = (messages.Piece(0.0, 1.0, 0, 0.8, (0.5, -0.5)), messages.Piece(1.0, 1.2, 1, 0.0))

WORKS: list[messages.Work] = [
    messages.IngestWork((messages.IngestTask("s", HANDLE, b"\x00\xff", "flush", 0.25),)),
    messages.AsrWork(HANDLE, "ja", ("Wernicke",)),
    messages.DiarizationWork(HANDLE),
    messages.CorrectionWork(("one", "two"), "en", (), ("before",)),
]
RESULTS: list[messages.Result] = [
    messages.IngestResult(
        (
            messages.IngestOutcome(
                "s", 512, 0, b"\x01", (messages.Boundary(0, 512, "silence", 400, 500),), True, 7, True
            ),
        )
    ),
    messages.AsrResult("ja", 0.99, (SEGMENT,), "whisper", ("ALIGNMENT_UNAVAILABLE",)),
    messages.DiarizationResult(
        (messages.Turn(0.0, 1.0, 0),),
        PIECES,
        0.7,
    ),
    messages.CorrectionResult(("One", None), ("sound",), ("LLM_TIMEOUT",)),
]
JOBS: list[Message] = [messages.Job(number, work, 120.0) for number, work in enumerate(WORKS)]
INCOMING: list[Message] = [
    *(messages.Done(number, result, 12.5) for number, result in enumerate(RESULTS)),
    messages.Failed(2**40, "STALE_HANDLE", "gone", 0.0),
]
TO_STAGE: list[Message] = [
    messages.Init("wernicke_1_0:10:2880000", StageSettings(sleep_ms={"asr": 3.0})),
    messages.Cancel(5),
    messages.Stop(),
]
FROM_STAGE: list[Message] = [
    messages.Hello(4711),
    messages.Loading("loading large-v3"),
    messages.Ready("faster_whisper", "large-v3", "as configured", 900.0),
    messages.Unusable("install it"),
    messages.Started(5, 140.0),
    messages.Heartbeat(120.5),
]
LINKS: list[tuple[Decode, list[Message]]] = [
    (codec.decode_job, JOBS),
    (codec.decode_incoming, INCOMING),
    (codec.decode_to_stage, TO_STAGE),
    (codec.decode_from_stage, FROM_STAGE),
]
DECODERS = [decode for decode, _ in LINKS]
EVERY = [(decode, message) for decode, sent in LINKS for message in sent]


def test_every_kind_of_message_is_tried_here() -> None:
    """A new message type has to be added to the lists above."""
    expected = {*get_args(messages.Incoming), *get_args(messages.ToStage), *get_args(messages.FromStage)}
    assert {type(message) for message in INCOMING + TO_STAGE + FROM_STAGE} == expected
    assert {type(work) for work in WORKS} == set(get_args(messages.Work))
    assert {type(result) for result in RESULTS} == set(get_args(messages.Result))


@pytest.mark.parametrize(("decode", "message"), EVERY, ids=lambda each: type(each).__name__)
def test_round_trip(decode: Decode, message: Message) -> None:
    """What is decoded equals what was encoded, types and tuples included."""
    assert decode(codec.encode(message)) == message


@pytest.mark.parametrize(("decode", "sent"), LINKS, ids=["job", "incoming", "to_stage", "from_stage"])
def test_messages_of_other_links_are_refused(decode: Decode, sent: list[Message]) -> None:
    """A link carries its own kinds only."""
    for message in [message for _, others in LINKS if others is not sent for message in others]:
        with pytest.raises(msgspec.DecodeError):
            decode(codec.encode(message))


@pytest.mark.parametrize(("decode", "message"), EVERY, ids=lambda each: type(each).__name__)
def test_a_cut_message_is_refused(decode: Decode, message: Message) -> None:
    """No prefix of a message is one."""
    data = codec.encode(message)
    for length in range(len(data)):
        with pytest.raises(msgspec.DecodeError):
            decode(data[:length])


@pytest.mark.parametrize("decode", DECODERS)
def test_a_claimed_length_reserves_no_memory(decode: Decode) -> None:
    """Four bytes that promise four billion elements are refused at once."""
    for head in (b"\xdd", b"\xdf", b"\xc6", b"\xdb"):
        with pytest.raises(msgspec.DecodeError):
            decode(head + b"\xff\xff\xff\xff")


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("value", [None, True, 1, "Stop", b"", [], {}, {"type": "Stop!"}])
def test_other_values_are_refused(decode: Decode, value: object) -> None:
    """Well-formed msgpack that is no message is not one, either."""
    with pytest.raises(msgspec.DecodeError):
        decode(msgspec.msgpack.encode(value))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(DECODERS), st.binary(max_size=64))
def test_garbage_is_refused(decode: Decode, data: bytes) -> None:
    """Bytes that are no message raise DecodeError and nothing else."""
    with pytest.raises(msgspec.DecodeError):
        decode(data)


def test_the_largest_message_fits() -> None:
    """Thirty seconds with a word every tenth of a second stay far below the sockets' limit."""
    words = tuple(messages.Word(tick / 10, (tick + 1) / 10, " something", 0.9) for tick in range(300))
    segment = messages.Segment(0.0, 30.0, " something" * 300, words)
    data = codec.encode(messages.Done(1, messages.AsrResult("en", 1.0, (segment,), "whisper"), 1.0))
    assert len(data) < 100 * 1024 < codec.MAX_MESSAGE_BYTES


def test_bad_text_and_deep_nesting_are_decode_errors_too() -> None:
    """Whatever a peer sends, the thread that reads it only ever sees one kind of error."""
    with pytest.raises(msgspec.DecodeError):
        codec.decode_incoming(b"\x85\xa4type\xa6Failed\xa6job_id\x01\xa4code\xa2\xff\xfe")
    with pytest.raises(msgspec.DecodeError):
        codec.decode_job(b"\x82\xa4type\xa3Job\xa1x" + b"\x91" * 100_000)
