"""Whatever comes in from outside, only the errors that are meant for it come out."""

from typing import get_args
from urllib.parse import parse_qsl

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipc import codec, messages
from ipc.audio_handle import AudioHandle
from wernicke_daemon.gateway.http_request import options_from
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.audio import (
    MAX_CHANNELS,
    MAX_SAMPLE_RATE,
    MIN_SAMPLE_RATE,
    AudioFormat,
    Encoding,
    InvalidAudio,
)
from wernicke_daemon.wire.pcm_decoder import PcmDecoder
from wernicke_daemon.wire.protocol import ClientMessage, InvalidMessage, Start

often = settings(max_examples=200, deadline=None)

# --- audio -----------------------------------------------------------------------------------------

FORMATS = st.builds(
    AudioFormat,
    st.integers(MIN_SAMPLE_RATE, MAX_SAMPLE_RATE),
    st.integers(1, MAX_CHANNELS),
    st.sampled_from(get_args(Encoding)),
)
WORDS = st.sampled_from([b"\x00\x00\xc0\x7f", b"\x00\x00\x80\xff", b"\x01\x00\x00\x00", b"\x00\x00\x80\x42", b"RIFF"])
"""Four bytes that are NaN, minus infinity, denormal, exactly PEAK_LIMIT, or a file's header where audio should be."""

FRAMES = st.binary(max_size=300) | st.lists(WORDS, max_size=60).map(b"".join)
SILENCE = bytes(MAX_CHANNELS * 4 * 100)


@often
@given(FORMATS, st.lists(FRAMES | st.sampled_from(["drain", "cut"]), max_size=12))
def test_any_bytes_are_audio_or_refused(audio_format: AudioFormat, happenings: list[bytes | str]) -> None:
    """Frames of anything, drains and cut lines in any order: finite samples or InvalidAudio, and the count is right."""
    decoder = PcmDecoder(audio_format)
    received = 0
    for happening in happenings:
        before = decoder.samples_received
        if happening == "cut":
            decoder.forget_partial_sample()
            received = decoder.bytes_received
        elif happening == "drain":
            assert np.isfinite(decoder.drain()).all()
        else:
            received += len(happening)
            decoded(decoder, happening.encode() if isinstance(happening, str) else happening)
        assert decoder.bytes_received == received
        assert before <= decoder.samples_received <= received // audio_format.frame_bytes


def decoded(decoder: PcmDecoder, frame: bytes) -> None:
    try:
        audio = decoder.decode(frame)
    except InvalidAudio as error:
        assert decoder.format.encoding == "f32le" and str(error)
    else:
        assert audio.dtype == np.float32 and audio.ndim == 1 and np.isfinite(audio).all()


@often
@given(FORMATS, st.lists(FRAMES, max_size=6))
def test_a_stream_goes_on_after_anything(audio_format: AudioFormat, frames: list[bytes]) -> None:
    """What was refused leaves no trace: once the line was cut, whole samples are taken again, all of them."""
    decoder = PcmDecoder(audio_format)
    for frame in frames:
        decoded(decoder, frame)
    decoder.forget_partial_sample()
    before = decoder.samples_received
    decoder.decode(SILENCE)
    assert decoder.samples_received - before == len(SILENCE) // audio_format.frame_bytes


# --- what a client says ----------------------------------------------------------------------------

DEFAULT = Options(AudioFormat(48_000, 2, "f32le"), "ja")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=12)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
SAID = st.sampled_from([16_000, 7, 2, "s16le", "all", "ja", "session,ack", ["ack", "x"], ["a" * 101], 2**70, -1])
STARTS = st.dictionaries(st.sampled_from(Start.__struct_fields__), SAID | JSON, max_size=4)


@often
@given(STARTS | JSON, st.binary(max_size=12), st.integers(0, 400))
@example({"events": "all", "sample_rate": 16_000}, b"", 0)
def test_any_text_frame_is_obeyed_or_refused(said: object, junk: bytes, at: int) -> None:
    """Start messages with any values, and with bytes put into the middle of them."""
    whole = said | {"type": "start"} if isinstance(said, dict) else said
    frame = msgspec.json.encode(_without_surrogates(whole))
    text = (frame[:at] + junk + frame[at:]).decode("utf-8", "replace")
    try:
        message = protocol.parse(text)
        assert isinstance(message, ClientMessage)
        if isinstance(message, Start):
            assert isinstance(options_from(message, DEFAULT), Options)
    except (InvalidMessage, InvalidAudio) as error:
        assert str(error)


def _without_surrogates(value: object) -> object:
    """As they would come from any JSON library: msgspec writes no lone surrogates, others escape them."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_without_surrogates(each) for each in value]
        case dict():
            return {str(_without_surrogates(name)): _without_surrogates(each) for name, each in value.items()}
        case int():
            return value % 2**64  # the largest that msgspec writes
    return value


QUERIES = st.dictionaries(st.sampled_from(Start.__struct_fields__), SAID.map(str) | st.text(max_size=12), max_size=4)


@often
@given(QUERIES)
def test_any_query_is_understood_or_refused(query: dict[str, str]) -> None:
    """Down to the options that a session is made with."""
    try:
        assert isinstance(options_from(protocol.options_from_query(query), DEFAULT), Options)
    except (InvalidMessage, InvalidAudio) as error:
        assert str(error)


@often
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60))
@example("sample_rate=%00&channels=%FF%FE&events=%F0%9F")
def test_any_address_is_understood_or_refused(query: str) -> None:
    """As it stands in a request line, percent signs and all."""
    try:
        options_from(protocol.options_from_query(dict(parse_qsl(query))), DEFAULT)
    except (InvalidMessage, InvalidAudio) as error:
        assert str(error)


# --- between the processes -------------------------------------------------------------------------

HANDLE = AudioHandle("wernicke_1_0", 2, 3, 480_000, 16_000)
WORD = messages.Word(0.1, 0.5, " 今日", 0.97)
RESULT = messages.AsrResult("ja", 0.99, (messages.Segment(0.1, 1.8, "今日は", (WORD,)),), "whisper", ("X",))
TASK = messages.IngestTask("s", HANDLE, b"\x00\xff", "flush", 0.25)
BOUNDARY = messages.Boundary(0, 512, "silence", 400, 500)
OUTCOME = messages.IngestOutcome("s", 512, 0, b"\x01", (BOUNDARY,), True, 7, True)
SENT = {
    codec.decode_job: (
        messages.Job(1, messages.IngestWork((TASK,)), 60.0),
        messages.Job(2, messages.AsrWork(HANDLE, "ja"), 1.0),
    ),
    codec.decode_incoming: (messages.Done(1, RESULT, 1.0), messages.Done(2, messages.IngestResult((OUTCOME,)), 1.0)),
    codec.decode_to_stage: (messages.Cancel(1), messages.Stop()),
    codec.decode_from_stage: (messages.Heartbeat(120.5), messages.Loading("loading")),
}
LINKS = [(decode, codec.encode(message)) for decode, sent in SENT.items() for message in sent]
EDITS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 3), st.binary(max_size=6)), min_size=1, max_size=4)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(LINKS), EDITS)
def test_a_damaged_message_is_a_message_or_refused(
    link: tuple[object, bytes], edits: list[tuple[int, int, bytes]]
) -> None:
    """Bytes changed, left out and put in anywhere: DecodeError or a message of this link, nothing else."""
    decode, data = link
    assert callable(decode)
    for at, removed, inserted in edits:
        at %= len(data) + 1
        data = data[:at] + inserted + data[at + removed :]
    try:
        assert isinstance(decode(data), messages.Message)
    except msgspec.DecodeError as error:
        assert str(error)


@pytest.mark.parametrize("link", LINKS)
def test_an_undamaged_message_is_one(link: tuple[object, bytes]) -> None:
    """What the test above begins with is right."""
    decode, data = link
    assert callable(decode) and isinstance(decode(data), messages.Message)
