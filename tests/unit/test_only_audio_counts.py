"""What says that a client speaks is seconds of audio, and not that messages come."""

from collections.abc import Iterator

import numpy as np
import pytest

from ipc.arena import Arena
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import IngestOutcome
from wernicke_daemon.sessions.clock import Clock
from wernicke_daemon.sessions.intake import Intake
from wernicke_daemon.sessions.options import StartingPoint
from wernicke_daemon.sessions.rate_watch import RateWatch
from wernicke_daemon.wire.audio import AudioFormat

MONO = AudioFormat(SAMPLE_RATE, 1, "f32le")
STEREO = AudioFormat(48_000, 2, "f32le")


class Client:
    """One that speaks into an intake. now: the clock, which goes on as it is told. silent_s: what was found of it."""

    def __init__(self, arena: Arena) -> None:
        self.now = 1000.0
        self.silent_s = 0.0
        ring = arena.acquire()
        assert ring is not None
        clock = Clock(lambda: self.now, lambda: 1e9 + self.now)
        self.intake = Intake(
            "s", ring, MONO, StartingPoint(), lambda start, samples: None, lambda code, text: None, clock
        )

    async def send(self, count: int, every_s: float, times: int) -> None:
        """Frames of `count` samples, with a look at the news after each, as the ticks take it."""
        for _ in range(times):
            self.now += every_s
            await self.intake.feed(np.full(count, 0.5, "<f4").tobytes())
            self.look()

    def look(self) -> None:
        task = self.intake.take_news(self.now, listening=True)
        while task is not None:
            self.silent_s += task.idle_s
            self.intake.found(IngestOutcome("s", task.audio.end, task.audio.end, b"", (), speaking=True))
            task = self.intake.take_news(self.now, listening=True)


@pytest.fixture
def client() -> Iterator[Client]:
    arena = Arena(1, 20 * SAMPLE_RATE)
    yield Client(arena)
    arena.close()


@pytest.mark.parametrize("count", [0, 1])
async def test_empty_and_tiny_frames_do_not_keep_an_utterance_open(client: Client, count: int) -> None:
    """2 s of them are 2 s of silence, as if nothing came."""
    await client.send(1600, 0.1, 20)
    client.silent_s = 0.0
    await client.send(count, 0.02, 125)
    assert 2.0 < client.silent_s <= 2.5


async def test_a_live_client_is_not_silent(client: Client) -> None:
    """With empty frames among its audio either."""
    await client.send(1600, 0.1, 20)
    client.silent_s = 0.0
    for _ in range(50):
        await client.send(0, 0.05, 1)
        await client.send(1600, 0.05, 1)
    assert client.silent_s == 0.0


def warnings(arrivals: Iterator[tuple[int, float]]) -> list[str]:
    watch = RateWatch(STEREO)
    return [text for count, now in arrivals if (text := watch.arrived(count, now))]


@pytest.mark.parametrize("nothing", [0, 8])
def test_no_rate_is_measured_of_empty_and_tiny_frames(nothing: int) -> None:
    """A client that sends such frames where nothing is said has not declared six times its rate."""

    def arrivals() -> Iterator[tuple[int, float]]:
        now = 0.0
        for step in range(2000):
            now += 0.02
            yield (7680 if step % 60 < 10 else nothing), now

    assert warnings(arrivals()) == []


def test_a_wrong_rate_is_seen_among_empty_frames() -> None:
    """And in frames shorter than an arrival has to be."""

    def arrivals() -> Iterator[tuple[int, float]]:
        for step in range(8000):
            yield (160 if step % 2 else 0), step * 0.00125  # as of 16 kHz mono

    assert len(warnings(arrivals())) == 1
