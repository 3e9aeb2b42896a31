"""Speech of which is known when it is spoken, and what a client that streams it hears back, with when."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ipc.audio_handle import SAMPLE_RATE, Audio
from wernicke_daemon.client import Client, ParsedMessage, exchange
from wernicke_daemon.formats import audio_files
from wernicke_daemon.formats.audio_files import Chunk
from wernicke_daemon.wire.audio import AudioFormat

Span = tuple[float, float]
"""Seconds [start, end) of the audio."""

PHRASE_S = 0.4, 4.0
PAUSE_S = 0.2, 3.0
DOUBTFUL_S = 0.1
"""No pause is so near to one at which the daemon does something that a window of voice detection decides."""

LEAD_S = 0.5
TAIL_S = 2.7
"""Silence after the last phrase: the last utterance ends by it, as all others."""

LOUD = 0.2


@dataclass(frozen=True)
class Talk:
    """samples: float32, shape [frames], 16 kHz. phrases: when somebody speaks."""

    samples: Chunk
    phrases: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def generated(seed: int, seconds: float, decisive_s: Sequence[float], voice: Audio | None = None) -> Talk:
    """About so long. decisive_s: pauses at which the daemon does something. voice: speech without pauses, 16 kHz, that
    phrases are made of; without it they are noise."""
    chance = random.Random(seed)
    at, phrases = LEAD_S, []
    while at < seconds - TAIL_S:
        end = at + chance.uniform(*PHRASE_S)
        phrases.append((at, end))
        at = end + _pause(chance, decisive_s)
    count = round((phrases[-1][1] + TAIL_S) * SAMPLE_RATE)
    if voice is None:
        sound = np.random.default_rng(seed).uniform(-LOUD, LOUD, count)
    else:
        sound = np.resize(np.roll(voice, seed * SAMPLE_RATE), count)
    return Talk((sound * _spoken(phrases, count)).astype(np.float32), tuple(phrases))


def _pause(chance: random.Random, decisive_s: Sequence[float]) -> float:
    while True:
        pause = chance.uniform(*PAUSE_S)
        if all(abs(pause - decisive) >= DOUBTFUL_S for decisive in decisive_s):
            return pause


def _spoken(phrases: Sequence[Span], count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    spoken = np.zeros(count, np.bool_)
    for start, end in phrases:
        spoken[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
    return spoken


@dataclass(frozen=True)
class Heard:
    """at: seconds since the first sample was said, by the client's clock."""

    at: float
    message: ParsedMessage


@dataclass
class Listener:
    """One client. late_s: how far it fell behind real time at worst."""

    talk: Talk
    audio: AudioFormat
    chunk_s: float
    language: str = "en"
    heard: list[Heard] = field(default_factory=list)
    late_s: float = 0.0
    began: float = 0.0

    async def run(self, url: str) -> None:
        """All of the talk in real time, and everything that comes back."""
        async with Client(url, audio=self.audio, language=self.language, events=("partial",)) as client:
            await exchange(client, self._paced(), self._receive)

    async def _paced(self) -> AsyncIterator[bytes]:
        self.began, frames = time.monotonic(), 0
        async for data in audio_files.stream(self._chunks(), self.audio.sample_rate, realtime=True):
            frames += len(data) // self.audio.frame_bytes
            self.late_s = max(self.late_s, time.monotonic() - self.began - frames / self.audio.sample_rate)
            yield data

    async def _chunks(self) -> AsyncIterator[Chunk]:
        """At another rate or with more channels by repeating samples: what is loud stays so."""
        size, times = round(self.chunk_s * SAMPLE_RATE), self.audio.sample_rate // SAMPLE_RATE
        for offset in range(0, len(self.talk.samples), size):
            mono = np.repeat(self.talk.samples[offset : offset + size], times)
            yield np.repeat(mono[:, None], self.audio.channels, axis=1)

    def _receive(self, message: ParsedMessage) -> None:
        self.heard.append(Heard(time.monotonic() - self.began, message))


async def listen(url: str, talks: Sequence[Talk], audio: AudioFormat, chunk_s: float) -> list[Listener]:
    """A client for each talk, all at the same time."""
    listeners = [Listener(talk, audio, chunk_s) for talk in talks]
    await asyncio.gather(*(listener.run(url) for listener in listeners))
    return listeners
