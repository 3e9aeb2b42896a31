from contextlib import suppress
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wernicke_daemon.wire.audio import Audio, AudioFormat, Encoding, InvalidAudio
from wernicke_daemon.wire.pcm_decoder import PcmDecoder

RATES = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 15_999, 12_347]


def pcm(samples: NDArray[np.float32], encoding: Encoding) -> bytes:
    """Bytes of samples in [-1, 1), interleaved as they stand."""
    if encoding == "f32le":
        return samples.astype("<f4").tobytes()
    return np.round(samples * 32768).astype("<i2").tobytes()


def noise(frames: int, channels: int, seed: int = 0) -> NDArray[np.float32]:
    """Samples on the 16-bit grid, shape [frames, channels], so that both encodings hold them exactly."""
    integers = np.random.default_rng(seed).integers(-20_000, 20_000, (frames, channels))
    return (integers / 32768).astype(np.float32)


def decode(decoder: PcmDecoder, *pieces: bytes | memoryview) -> Audio:
    return np.concatenate([*(decoder.decode(piece) for piece in pieces), decoder.drain()])


def rounded(frames: int, rate: int) -> int:
    return (2 * frames * 16_000 + rate) // (2 * rate)


relaxed = settings(deadline=None, max_examples=60)
formats = st.builds(AudioFormat, st.sampled_from(RATES), st.integers(1, 8), st.sampled_from(get_args(Encoding)))


@relaxed
@given(formats, st.data())
def test_any_split_of_the_bytes_gives_the_same_audio(audio_format: AudioFormat, data: st.DataObject) -> None:
    """Frames of any size, also ending in mid-sample, are one stream."""
    stream = memoryview(pcm(noise(2_000, audio_format.channels), audio_format.encoding))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    decoder = PcmDecoder(audio_format)
    np.testing.assert_array_equal(decode(decoder, *pieces), decode(PcmDecoder(audio_format), bytes(stream)))
    assert (decoder.bytes_received, decoder.samples_received) == (len(stream), 2_000)


def test_bytes_one_by_one_give_the_same_audio() -> None:
    """The smallest frames there are lose nothing."""
    audio_format = AudioFormat(48_000, 2, "f32le")
    stream = pcm(noise(300, 2), "f32le")
    single = decode(PcmDecoder(audio_format), *(bytes([byte]) for byte in stream))
    np.testing.assert_array_equal(single, decode(PcmDecoder(audio_format), stream))


@relaxed
@given(st.sampled_from(RATES), st.integers(1, 8))
def test_encodings_agree(rate: int, channels: int) -> None:
    """The same signal as s16le and as f32le gives the same audio."""
    samples = noise(2_000, channels)
    as_float, as_int = (decode(PcmDecoder(AudioFormat(rate, channels, e)), pcm(samples, e)) for e in get_args(Encoding))
    np.testing.assert_allclose(as_float, as_int, atol=1e-6)


@pytest.mark.parametrize("channels", range(1, 9))
def test_downmix_is_the_mean_of_the_channels(channels: int) -> None:
    """At 16 kHz nothing happens but the mean over channels, as long as they have something in common."""
    samples = 0.7 * noise(500, 1, seed=1) + 0.3 * noise(500, channels)
    mono = decode(PcmDecoder(AudioFormat(16_000, channels, "f32le")), pcm(samples, "f32le"))
    assert mono.dtype == np.float32 and mono.shape == (500,)
    np.testing.assert_allclose(mono, samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("encoding", get_args(Encoding))
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_an_inverted_channel_cancels_nothing(rate: int, encoding: Encoding) -> None:
    """The same speech with opposite signs on two channels is heard as on one, in any encoding."""
    sound = noise(rate, 1)
    stereo, mono = (AudioFormat(rate, channels, encoding) for channels in (2, 1))
    heard = decode(PcmDecoder(stereo), pcm(np.hstack([sound, -sound]), encoding))
    expected = decode(PcmDecoder(mono), pcm(sound, encoding))
    np.testing.assert_allclose(heard[1_000:], expected[1_000:], atol=1e-4)


@relaxed
@given(st.integers(8_000, 96_000), st.integers(0, 20_000), st.integers(100, 5_000))
def test_length_after_drain_is_exact(rate: int, frames: int, chunk: int) -> None:
    """n samples give round(n * 16000 / rate) at any rate, after every drain, so that client time maps to ours."""
    decoder = PcmDecoder(AudioFormat(rate, 1, "s16le"))
    stream = bytes(2 * frames)
    pieces = [stream[at : at + chunk] for at in range(0, len(stream), chunk)]
    for _ in range(2):
        assert len(decode(decoder, *pieces)) == rounded(frames, rate)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_long_stream_keeps_exact_length(rate: int) -> None:
    """A minute without a drain is as exact as a moment."""
    frames = 60 * rate + 7
    audio = decode(PcmDecoder(AudioFormat(rate, 1, "s16le")), *[bytes(2 * rate)] * 60, bytes(14))
    assert len(audio) == rounded(frames, rate)


@pytest.mark.parametrize("surplus", [-3, 3])
def test_length_is_exact_whatever_the_resampler_returns(surplus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tail that is some samples too long or too short is cut or filled."""

    class Inexact:
        def __init__(self, *_: object, **__: object) -> None: ...

        def resample_chunk(self, chunk: Audio, last: bool = False) -> Audio:
            return np.ones(10 + surplus if last else len(chunk) // 3 - 10, np.float32)

        def clear(self) -> None: ...

    monkeypatch.setattr("wernicke_daemon.wire.pcm_decoder.soxr.ResampleStream", Inexact)
    assert len(decode(PcmDecoder(AudioFormat(48_000, 1, "s16le")), bytes(2 * 960))) == 320


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_resampled_tone_keeps_place_and_level(rate: int) -> None:
    """A tone comes out as the same tone: same phase (no delay is left), same level."""
    seconds = np.arange(rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    audio = decode(PcmDecoder(AudioFormat(rate, 1, "f32le")), pcm(tone, "f32le"))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(audio[500:-500], expected[500:-500], atol=2e-3)


def test_drain_starts_anew() -> None:
    """After a drain the same bytes give the same audio as at first; a drain of nothing gives nothing."""
    decoder = PcmDecoder(AudioFormat(48_000, 2, "f32le"))
    stream = pcm(noise(5_000, 2), "f32le")
    first = decode(decoder, stream)
    assert len(decoder.drain()) == 0
    np.testing.assert_array_equal(decode(decoder, stream), first)


def test_drain_keeps_the_bytes_of_an_unfinished_sample() -> None:
    """A drain in mid-sample does not shift the bytes that follow."""
    decoder = PcmDecoder(AudioFormat(16_000, 2, "f32le"))
    samples = noise(100, 2)
    stream = pcm(samples, "f32le")
    audio = np.concatenate([decode(decoder, stream[:405]), decode(decoder, stream[405:])])
    np.testing.assert_allclose(audio, samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 64.1, -1e30])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_refused_frame_leaves_the_rest_intact(rate: int, bad: float) -> None:
    """NaN, infinity and huge values are refused; byte alignment, resampler and counters go on as if never sent."""
    audio_format = AudioFormat(rate, 2, "f32le")
    stream = pcm(noise(3_000, 2), "f32le")
    poisoned = noise(100, 2, seed=1)
    poisoned[50, 1] = bad
    decoder = PcmDecoder(audio_format)
    head = decoder.decode(stream[:8_003])
    with pytest.raises(InvalidAudio):
        decoder.decode(stream[8_003:8_008] + pcm(poisoned, "f32le") + stream[8_008:8_013])
    tail = decode(decoder, stream[8_013:])
    kept = stream[:8_000] + stream[8_008:]
    np.testing.assert_array_equal(np.concatenate([head, tail]), decode(PcmDecoder(audio_format), kept))
    assert decoder.samples_received == 2_999
    assert decoder.bytes_received == len(stream) + 800


def test_loud_but_honest_audio_is_taken() -> None:
    """64 times full scale is the limit, and belongs to what is taken."""
    stream = np.array([64.0, -64.0], "<f4").tobytes()
    np.testing.assert_array_equal(decode(PcmDecoder(AudioFormat(16_000, 1, "f32le")), stream), [64.0, -64.0])


def speech_like(frames: int) -> NDArray[np.float32]:
    seconds = np.arange(frames) / 16_000
    return (0.05 * np.sin(2 * np.pi * 200 * seconds) * np.sin(2 * np.pi * 3 * seconds)).astype(np.float32)


def with_one_nan() -> bytes:
    samples = speech_like(1_600)
    samples[800] = np.nan
    return pcm(samples, "f32le")


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (pcm(speech_like(1_600), "s16le"), "s16le samples sent as f32le"),
        (with_one_nan(), "NaN or infinite"),
        (pcm(32768 * speech_like(1_600), "f32le"), "divide 16-bit values by 32768"),
        (np.full(100, 1e9, "<f4").tobytes(), r"samples reach 1e\+09"),
    ],
)
def test_refusal_names_the_likely_cause(data: bytes, cause: str) -> None:
    """The message says what is probably wrong with the client."""
    with pytest.raises(InvalidAudio, match=cause) as caught:
        PcmDecoder(AudioFormat(16_000, 1, "f32le")).decode(data)
    assert caught.value.code == "INVALID_AUDIO_FORMAT"


@relaxed
@given(st.binary(max_size=4_000), st.integers(1, 8))
@pytest.mark.filterwarnings("error")
def test_any_bytes_are_audio_or_refused(data: bytes, channels: int) -> None:
    """Whatever is sent, a frame is finite audio or refused, without a warning, and the stream goes on."""
    decoder = PcmDecoder(AudioFormat(48_000, channels, "f32le"))
    for frame in (data, bytes(4 * channels)):  # the second ends a sample that the first left unfinished
        with suppress(InvalidAudio):
            assert np.isfinite(decoder.decode(frame)).all()
    assert np.isfinite(decode(decoder, bytes(4 * channels * 500))).all()


@pytest.mark.parametrize(
    ("rate", "channels", "encoding", "message"),
    [
        (7_999, 1, "f32le", "sample_rate must lie between 8000 and 96000 Hz, not 7999"),
        (96_001, 1, "f32le", "sample_rate must lie between 8000 and 96000 Hz, not 96001"),
        (48_000, 0, "f32le", "channels must lie between 1 and 8, not 0"),
        (48_000, 9, "f32le", "channels must lie between 1 and 8, not 9"),
        (48_000, 1, "mp3", "encoding must be f32le or s16le, not mp3"),
    ],
)
def test_unsupported_format_is_refused(rate: int, channels: int, encoding: Encoding, message: str) -> None:
    """A format that is not supported is refused, saying what is."""
    with pytest.raises(InvalidAudio) as caught:
        AudioFormat(rate, channels, encoding)
    assert str(caught.value) == message
