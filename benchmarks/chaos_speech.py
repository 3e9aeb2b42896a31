"""What is said to the daemon, and the clients that say it: for `chaos.py`."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ipc.audio_handle import SAMPLE_RATE
from ipc.errors import WernickeError
from tests.wire import Samples
from wernicke_daemon.client import Client, ClientError, ParsedMessage, exchange
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.demo import CLIP
from wernicke_daemon.formats import audio_files
from wernicke_daemon.gateway.http_request import SESSIONS

MEETINGS = Path(__file__).resolve().parents[2] / "shared" / "audio"
EXCERPT_S = 5.0
EXCERPTS = 6
"""Of each recorded meeting, evenly spread; some hold no speech, and belong in no result."""

ROLL_S = 0.3
"""Quiet that is sent with each utterance of the clip, before and after it."""

UTTERANCES = 12
"""Of each client in a round."""

PAUSE_S = 0.8
"""Between two utterances of a client: faster than people speak, slower than two CPU cores can work."""

ROUND_LIMIT_S = 300.0
IDLE_LIMIT_S = 60.0
"""A round, or a stage's first job after a kill, that takes longer never comes to its end."""

Session = list[bytes]
Spoken = tuple[str, int]
"""Session id and sequence."""


class Stuck(WernickeError):
    """What should have happened long ago did not."""


# --- the speech ------------------------------------------------------------------------------------


def speech(clients: int, seed: int) -> list[Session]:
    """What each client says in a round: one frame an utterance, 16 kHz mono float32, so that no pause divides it."""
    pieces = [piece.astype("<f4").tobytes() for piece in (*_clip(), *_meetings())]
    return [random.Random(f"{seed}-{client}").choices(pieces, k=UTTERANCES) for client in range(clients)]


def _clip() -> Iterator[Samples]:
    samples = _decoded(CLIP)
    for turn in json.loads(CLIP.with_name("reference.json").read_text(encoding="utf-8"))["turns"]:
        yield _part(samples, turn["start"] - ROLL_S, turn["end"] + ROLL_S)


def _meetings() -> Iterator[Samples]:
    for file in sorted(MEETINGS.glob("*.wav")):
        samples = _decoded(file)
        starts = np.linspace(0, len(samples) / SAMPLE_RATE - EXCERPT_S, EXCERPTS)
        yield from (_part(samples, start, start + EXCERPT_S) for start in starts)


def _decoded(file: Path) -> Samples:
    return audio_files.samples(file, SAMPLE_RATE)


def _part(samples: Samples, start_s: float, end_s: float) -> Samples:
    return samples[max(0, round(start_s * SAMPLE_RATE)) : round(end_s * SAMPLE_RATE)]


# --- the clients -----------------------------------------------------------------------------------


@dataclass
class Heard:
    """What one client got. results: finals, errors and suppressed utterances, by sequence. dropped: cut off."""

    session: str = ""
    results: dict[int, list[ParsedMessage]] = field(default_factory=dict)
    gaps: int = 0
    dropped: bool = False

    def take(self, message: ParsedMessage) -> None:
        if message["type"] == "connection_established":
            self.session = message["session_id"]
        self.gaps += message["type"] == "gap"
        if message.get("sequence") is not None:
            self.results.setdefault(message["sequence"], []).append(message)


async def speak(url: str, said: Session) -> Heard:
    heard = Heard()
    try:
        async with Client(url, events=("session", "suppressed", "status")) as client:
            await exchange(client, _frames(client, said), heard.take)
    except ClientError:
        heard.dropped = True
    return heard


async def _frames(client: Client, said: Session) -> AsyncIterator[bytes]:
    for frame in said:
        yield frame
        await client.flush()
        await asyncio.sleep(PAUSE_S)


async def one_round(daemon: Daemon, said: list[Session]) -> list[Heard]:
    """Raises Stuck."""
    url = f"ws://127.0.0.1:{daemon.port}{SESSIONS}"
    try:
        async with asyncio.timeout(ROUND_LIMIT_S):
            return await asyncio.gather(*(speak(url, session) for session in said))
    except TimeoutError:
        raise Stuck(f"The clients did not get all results within {ROUND_LIMIT_S:.0f} s.") from None
