"""A client for tests that knows nothing of the daemon's own code: raw WebSocket frames and JSON."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from tests.waiting import WITHIN_S
from wernicke_daemon.formats import audio_files

CLIP = Path(__file__).parents[1] / "wernicke_daemon" / "demo" / "clip.flac"
REFERENCE = json.loads(CLIP.with_name("reference.json").read_text())
MONO = "sample_rate=16000&channels=1"

Samples = NDArray[np.float32]


def clip() -> Samples:
    """The bundled clip, 16 kHz mono."""
    return audio_files.samples(CLIP, 16_000)


def turn(number: int, before_s: float = 0.4, after_s: float = 0.4) -> Samples:
    """One utterance of the clip with a little quiet around it."""
    times = REFERENCE["turns"][number]
    start, end = times["start"] - before_s, times["end"] + after_s
    return clip()[max(0, round(start * 16_000)) : round(end * 16_000)]


def as_mac_sends(samples: Samples) -> bytes:
    """48 kHz stereo float32 of 16 kHz mono."""
    up = soxr.resample(samples, 16_000, 48_000)
    return np.repeat(up[:, None], 2, axis=1).astype("<f4").tobytes()


def as_int16(samples: Samples) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    """16 kHz mono float32."""
    return np.zeros(round(seconds * 16_000), "<f4").tobytes()


def open_socket(port: int, query: str = "") -> connect:
    """An async context manager giving a connection."""
    return connect(f"ws://127.0.0.1:{port}/transcribe?{query}", max_size=None, compression=None, open_timeout=60)


async def receive(socket: ClientConnection, timeout_s: float = WITHIN_S) -> dict[str, Any]:
    async with asyncio.timeout(timeout_s):
        message: dict[str, Any] = json.loads(await socket.recv())
    return message


async def until(socket: ClientConnection, kind: str, timeout_s: float = WITHIN_S) -> list[dict[str, Any]]:
    """Messages up to and including the first of that type. Raises TimeoutError, which says what came so far, when so
    long none came."""
    messages = list[dict[str, Any]]()
    while not messages or messages[-1]["type"] != kind:
        try:
            messages.append(await receive(socket, timeout_s))
        except TimeoutError as error:
            came = [message["type"] for message in messages]
            raise TimeoutError(f"no {kind!r}, nor anything else, within {timeout_s:g} s after {came}") from error
    return messages


async def transcribe(port: int, audio: bytes, query: str = MONO, frame_bytes: int = 64_000) -> list[dict[str, Any]]:
    """Send it all, say stop, and return every message up to session_ended."""
    async with open_socket(port, query) as socket:
        for at in range(0, len(audio), frame_bytes):
            await socket.send(audio[at : at + frame_bytes])
        await socket.send(json.dumps({"type": "stop"}))
        return await until(socket, "session_ended", 150)  # stages that a test has killed may have to load first


def finals(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == "final"]


def words(text: str) -> list[str]:
    return text.lower().split()
