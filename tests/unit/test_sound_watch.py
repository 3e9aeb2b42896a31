"""Sound without speech is remarked on once, with what is seen of it: real detector, real files, whatever is odd."""

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from ipc.arena import Arena, ArenaReader
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import IngestWork
from ipc.settings import StageSettings
from stages.ingest.engine import SileroIngest
from wernicke_daemon.formats import audio_files
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.intake import Intake
from wernicke_daemon.sessions.options import StartingPoint
from wernicke_daemon.sessions.sound_facts import container, likely_encoding
from wernicke_daemon.wire.audio import AudioFormat, InvalidAudio

CLIP = Path(__file__).parents[2] / "wernicke_daemon" / "demo" / "clip.flac"
MONO = AudioFormat(SAMPLE_RATE, 1, "f32le")
SHORTS = AudioFormat(SAMPLE_RATE, 1, "s16le")

Samples = NDArray[np.float32]


def speech(seconds: float, channels: int = 1, rate: int = SAMPLE_RATE) -> Samples:
    """Of the demo clip, over and over: shape [n, channels]."""
    clip = audio_files.samples(CLIP, rate)[:, None].repeat(channels, axis=1)
    return np.resize(clip, (round(seconds * rate), channels)).astype(np.float32)


def noise(seconds: float, level: float = 0.003) -> Samples:
    """As of a room: less of it the higher it is."""
    white = np.random.default_rng(0).normal(0, level, round(seconds * SAMPLE_RATE))
    return np.convolve(white, [0.25] * 4, "same").astype(np.float32)


@pytest.fixture(scope="module")
def silero() -> SileroIngest:
    engine = SileroIngest("ingest", StageSettings())
    engine.load()
    return engine


class Client:
    """One whose sound goes through an intake and is examined."""

    def __init__(self, arena: Arena, engine: SileroIngest) -> None:
        self.now = 1000.0
        self._engine, self._reader = engine, ArenaReader(arena.geometry)
        self._arena = arena

    def close(self) -> None:
        self._reader.close()

    async def send(self, data: bytes, audio: AudioFormat, speed: float = 1.0, chunk_s: float = 0.25) -> list[str]:
        """As a new session, in frames of chunk_s, so many times as fast as it is said. Returns the warnings."""
        ring = self._arena.acquire()
        assert ring is not None
        clock = Clock(lambda: self.now, lambda: 1e9 + self.now)
        warned = list[str]()
        intake = Intake(
            "s",
            ring,
            audio,
            StartingPoint(),
            lambda start, new: None,
            lambda code, text: warned.append(f"{code} {text}"),
            clock,
        )
        size = round(chunk_s * audio.sample_rate) * audio.frame_bytes
        for at in range(0, len(data), size):
            self.now += chunk_s / speed
            with suppress(InvalidAudio):
                await intake.feed(data[at : at + size])
            self._examine(intake)
        self._arena.release(ring)
        return warned

    def _examine(self, intake: Intake) -> None:
        while (task := intake.take_news(self.now, listening=True)) is not None:
            (outcome,) = self._engine.process(IngestWork((task,)), self._reader.read).outcomes
            intake.found(outcome)
            intake.free(outcome.retain_from)


@pytest.fixture
def client(silero: SileroIngest) -> Iterator[Client]:
    arena = Arena(1, 60 * SAMPLE_RATE)
    client = Client(arena, silero)
    yield client
    client.close()
    arena.close()


def floats(samples: Samples) -> bytes:
    return samples.astype("<f4").tobytes()


def encoded(format_name: str, codec: str, samples: Samples) -> bytes:
    """A file as a browser or a recorder makes it."""
    file = io.BytesIO()
    with av.open(file, "w", format=format_name) as output:
        stream = output.add_stream(codec, rate=48_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(samples[:, 0][None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(stream.format, "mono", 48_000, stream.codec_context.frame_size or 960)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


FILES = [
    ("webm", "libopus", "WebM"),
    ("matroska", "libopus", "Matroska"),
    ("ogg", "libopus", "Ogg"),
    ("wav", "pcm_s16le", "WAV"),
    ("flac", "flac", "FLAC"),
    ("mp3", "libmp3lame", "MP3"),
    ("mp4", "aac", "MP4"),
]


@pytest.mark.parametrize(("format_name", "codec", "name"), FILES)
def test_files_are_known_by_their_first_bytes(format_name: str, codec: str, name: str) -> None:
    """Of FFmpeg's own making."""
    assert name in (container(encoded(format_name, codec, speech(0.5, rate=48_000))[:16]) or "")


async def test_nothing_is_said_of_speech(client: Client) -> None:
    """However long it goes on, and of the silence after it neither."""
    quiet = np.zeros((30 * SAMPLE_RATE, 1), np.float32)
    assert await client.send(floats(np.concatenate([speech(10.0), quiet])), MONO) == []


async def test_nothing_is_said_before_20_s(client: Client) -> None:
    """Somebody who connects need not speak at once."""
    assert await client.send(floats(noise(19.5)), MONO) == []


async def test_what_is_no_speech_is_said_once(client: Client) -> None:
    """With its level, to whoever asked for it."""
    (warning,) = await client.send(floats(noise(60.0)), MONO)
    assert warning.startswith("NO_SPEECH no speech in the first 20 s of sound (loudest -5")
    assert warning.endswith("is it the right microphone, and does somebody speak?")


@pytest.mark.parametrize(("level", "says"), [(0.0, "every sample is zero"), (3e-6, "as good as nothing")])
async def test_a_muted_microphone(client: Client, level: float, says: str) -> None:
    """Zeros, or next to nothing."""
    (warning,) = await client.send(floats(noise(25.0, level)), MONO)
    assert says in warning


@pytest.mark.parametrize("audio", [MONO, SHORTS, AudioFormat(48_000, 2, "f32le")])
@pytest.mark.parametrize("name", ["webm", "mp4"])
async def test_a_file_in_place_of_samples(client: Client, audio: AudioFormat, name: str) -> None:
    """A recorder's output as it comes, 6 kB a second: said after 20 s, though it is much less of samples."""
    codec = {"webm": "libopus", "mp4": "aac"}[name]
    data = encoded(name, codec, speech(25.0, rate=48_000))
    speed = len(data) / audio.bytes_per_second / 25.0
    warnings = await client.send(data, audio, speed, 0.25 * speed)
    (warning,) = [text for text in warnings if text.startswith("NO_SPEECH")]
    assert "decode it and send its samples" in warning


async def test_samples_of_another_encoding(client: Client) -> None:
    """Floats that are declared as integers: what they are is said."""
    (warning,) = [text for text in await client.send(floats(speech(30.0)), SHORTS) if text.startswith("NO_SPEECH")]
    assert "as f32le the bytes are sound, as s16le they are not" in warning


async def test_compressed_audio_without_a_header(client: Client) -> None:
    """Bytes that are anything, as of a raw stream of packets."""
    data = np.random.default_rng(0).bytes(30 * SHORTS.bytes_per_second)
    (warning,) = await client.send(data, SHORTS)
    assert "white noise, which compressed audio sounds like" in warning


async def test_a_rate_that_does_not_fit(client: Client) -> None:
    """Of 48 kHz sent as 16 kHz, by a client that sends in real time."""
    tone = np.sin(2 * np.pi * 440 * np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    (warning,) = await client.send(floats(np.float32(0.1) * tone), MONO, speed=3.0)
    assert "it comes 3.0 times as fast as it is said" in warning


async def test_hum_alone(client: Client) -> None:
    """Of the mains, with what a bad cable makes of it."""
    seconds = np.arange(25 * SAMPLE_RATE) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 50 * part * seconds) / part for part in (1, 2, 3, 5))
    (warning,) = await client.send(floats(0.05 * np.asarray(hum, np.float32)), MONO)
    assert "that is hum" in warning


async def test_channels_are_told(client: Client) -> None:
    """Their levels, and how they hang together."""
    one = noise(25.0)
    (warning,) = await client.send(floats(np.stack([one, -one / 10], axis=1)), AudioFormat(SAMPLE_RATE, 2, "f32le"))
    assert "channels at -57, -77 dBFS, correlation -1.0" in warning


@pytest.mark.parametrize("kind", ["<i2", ">i2", "<f4", ">f4"])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_encoding_is_told_by_its_samples(kind: str, channels: int) -> None:
    """Only the right one makes speech of the bytes."""
    names = {"<i2": "s16le", "<f4": "f32le", ">i2": "16-bit big-endian", ">f4": "32-bit float big-endian"}
    samples = speech(3.0, channels)[-8000:] * np.float32(32767 if kind[1] == "i" else 1)
    assert likely_encoding(samples.astype(kind).tobytes(), channels) == names[kind]
