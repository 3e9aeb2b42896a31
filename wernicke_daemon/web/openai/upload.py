"""One uploaded file: decoded in a process of its own, then sent to the front as a session that gives way to others."""

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog
from websockets.exceptions import ConnectionClosed

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.config.schema import Config, WebSettings
from wernicke_daemon.formats.subtitles import ParsedFinal
from wernicke_daemon.web.front import SESSIONS, Front, FrontAway, FrontSocket

BYTES_PER_SECOND = 2 * SAMPLE_RATE

DECODED_WITHIN_S = 600.0
"""Seconds, for any file: far more than one of `web.upload_s` should take."""

TICK_S = 0.1
LOOK_TICKS = 10
FASTEST = 8
"""Seconds of audio that are sent in one. An utterance that begins to wait is seen before much more has come."""

WAITING_S = 1.0
"""While an utterance of anybody has waited for longer, a file comes no faster than speech does: it has the share of one
live session then, which is kept waiting for one job at most. A pause would end what is being said."""

HELD_S = 10.0
"""While one has waited for longer, nothing comes: before work is left out (`runtime.shed_after_s`)."""

Message = ParsedFinal

_log = structlog.get_logger()


@contextlib.contextmanager
def folder(config: Config) -> Iterator[Path]:
    """For one upload. What a killed process leaves there is removed by the next stage that starts
    (`stages/process/scratch.py`), like what libraries leave."""
    own = config.data_path / "scratch" / f"tmp-{os.getpid()}"
    own.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=own, ignore_cleanup_errors=True) as name:
        yield Path(name)


class Unreadable(Exception):
    """The text is a sentence for the client."""


async def decoded(upload: BinaryIO, place: Path, web: WebSettings) -> Path:
    """place: a folder for this upload alone. Raises Unreadable."""
    source, target = place / "upload", place / "samples"
    await asyncio.to_thread(_copy, upload, source)
    await asyncio.to_thread(_decode, source, target, web)
    return target


def _copy(upload: BinaryIO, source: Path) -> None:
    with source.open("wb") as file:
        shutil.copyfileobj(upload, file)


def _decode(source: Path, target: Path, web: WebSettings) -> None:
    module = "wernicke_daemon.web.openai.decode"
    command = [sys.executable, "-m", module, str(source), str(target), str(web.upload_s), str(DECODED_WITHIN_S)]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=DECODED_WITHIN_S + 30,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unreadable("The file takes too long to be read.") from None
    if ended.returncode:
        said = ended.stdout.decode("utf-8", "replace").strip()
        raise Unreadable(said or "The file can't be read: its decoder failed at it.")


def seconds_of(samples: Path) -> float:
    return samples.stat().st_size / BYTES_PER_SECOND


async def messages(front: Front, samples: Path, start: dict[str, object]) -> AsyncGenerator[Message, None]:
    """The front's, up to the last result. Raises what `Front.socket` does; the line may end early, without
    `session_ended`."""
    async with front.socket(SESSIONS) as line:
        with contextlib.suppress(ConnectionClosed):  # it may have said already that it can't
            await line.send(msgspec.json.encode(start).decode())
        sending = asyncio.create_task(_send_or_hang_up(front, line, samples))
        try:
            async for frame in line:
                yield (message := msgspec.json.decode(frame, type=Message))
                if message["type"] == "session_ended":
                    return
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _send_or_hang_up(front: Front, line: FrontSocket, samples: Path) -> None:
    """A line over which nothing more comes would be kept for ever, and the next file with it."""
    try:
        await _send(front, line, samples)
    except ConnectionClosed:
        pass  # who reads the line is told so
    except Exception:
        _log.exception("upload_failed")
        await line.close()


async def _send(front: Front, line: FrontSocket, samples: Path) -> None:
    with samples.open("rb") as file:
        for tick in itertools.count():
            if tick % LOOK_TICKS == 0:
                now = await _speed(front)
            chunk = await asyncio.to_thread(file.read, round(now * TICK_S * BYTES_PER_SECOND))
            if not chunk:
                break
            await line.send(chunk)
            await asyncio.sleep(TICK_S)
    await line.send('{"type":"stop"}')


async def _speed(front: Front) -> int:
    """At which a file may be sent now; waits while that is not at all."""
    while True:
        if now := speed(await _behind(front)):
            return now
        await asyncio.sleep(TICK_S)


def speed(behind_s: float) -> int:
    """Seconds of audio in one. behind_s: for how long the oldest utterance of anybody has waited for its result."""
    if behind_s > HELD_S:
        return 0
    return 1 if behind_s > WAITING_S else FASTEST


async def _behind(front: Front) -> float:
    try:
        return float((await front.page("/health"))["behind_s"])
    except FrontAway:
        return HELD_S  # it is busy
