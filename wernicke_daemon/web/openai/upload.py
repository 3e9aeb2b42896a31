"""One uploaded file: decoded in a process of its own, then sent to the front as a session in the background."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import structlog
from websockets.exceptions import ConnectionClosed

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.config.schema import Config, WebSettings
from wernicke_daemon.formats.subtitles import ParsedFinal
from wernicke_daemon.web.front import SESSIONS, Front, FrontSocket

BYTES_PER_SECOND = 2 * SAMPLE_RATE

DECODER = "wernicke_daemon.web.openai.decode"
"""The module that is run."""

DECODED_WITHIN_S = 600.0
"""Seconds, for any file: far more than one of `web.upload_s` should take. Its process ends by itself soon after, also
where nobody is left to end it."""

CHUNK_BYTES = BYTES_PER_SECOND
"""Sent at a time."""

AHEAD_BYTES = 60 * BYTES_PER_SECOND
"""Sent and not received yet, at most: so much waits in the front's memory while a file has to wait."""

Message = ParsedFinal

T = TypeVar("T")

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
    await _to_its_end(lambda: _copy(upload, source))
    await _decode(source, target, web)
    return target


async def _to_its_end(work: Callable[[], T], call_off: Callable[[], None] = lambda: None) -> T:
    """In a thread, which has files open until it has ended. call_off: has it end soon where nobody waits for it any
    more."""
    doing = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(doing)
    finally:
        call_off()
        await asyncio.wait([doing])


def _copy(upload: BinaryIO, source: Path) -> None:
    with source.open("wb") as file:
        shutil.copyfileobj(upload, file)


async def _decode(source: Path, target: Path, web: WebSettings) -> None:
    command = [sys.executable, "-m", DECODER, str(source), str(target), str(web.upload_s), str(DECODED_WITHIN_S + 30)]
    process = subprocess.Popen(  # noqa: ASYNC220 - it is not waited for here
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(DECODED_WITHIN_S):
            said, _ = await _to_its_end(process.communicate, process.kill)
    except TimeoutError:
        raise Unreadable(f"The file takes longer than {DECODED_WITHIN_S:g} s to be read: have it converted.") from None
    if process.returncode:
        sentence = said.decode("utf-8", "replace").strip()
        raise Unreadable(sentence or "The file can't be read: its decoder failed at it.")


def seconds_of(samples: Path) -> float:
    return samples.stat().st_size / BYTES_PER_SECOND


async def messages(front: Front, samples: Path, start: dict[str, object]) -> AsyncGenerator[Message, None]:
    """The front's, up to the last result. Raises what `Front.socket` does; the line may end early, without
    `session_ended`."""
    async with front.socket(f"{SESSIONS}?background=true") as line:  # so that it needs no place of a live session
        with contextlib.suppress(ConnectionClosed):  # it may have said already that it can't
            await line.send(msgspec.json.encode(start).decode())
        received = _Received()
        sending = asyncio.create_task(_send_or_hang_up(line, samples, received))
        try:
            async for frame in line:
                message = msgspec.json.decode(frame, type=Message)
                if message["type"] == "audio_received":
                    received.up_to(message["bytes_received"])
                    continue
                yield message
                if message["type"] == "session_ended":
                    return
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


class _Received:
    """How much of a file the front has taken in."""

    def __init__(self) -> None:
        self._bytes = 0
        self._more = asyncio.Event()

    def up_to(self, count: int) -> None:
        self._bytes = count
        self._more.set()

    async def at_least(self, count: int) -> None:
        while self._bytes < count:
            self._more.clear()
            await self._more.wait()


async def _send_or_hang_up(line: FrontSocket, samples: Path, received: _Received) -> None:
    """A line over which nothing more comes would be kept for ever, and the next file with it."""
    try:
        await _send(line, samples, received)
    except ConnectionClosed:
        pass  # who reads the line is told so
    except Exception:
        _log.exception("upload_failed")
        await line.close()


async def _send(line: FrontSocket, samples: Path, received: _Received) -> None:
    with samples.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            await received.at_least(file.tell() - AHEAD_BYTES)
            await line.send(chunk)
    await line.send('{"type":"stop"}')
