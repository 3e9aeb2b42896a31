"""How a program of this machine that may read the data directory asks the daemon to stop: `wernicke stop`.

The daemon listens on a port of loopback, for that alone. DATA_DIR/running.json, which only its user can read, has the
port and a secret. Lines are exchanged:

    SECRET                          from the one who asks
    {"wait_s": 32.0}                the daemon stops, and takes about as long at most
    {"sessions": 1, "unfinished": 0, "journalled": true}      what became of it; its process is about to end
"""

import asyncio
import contextlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from ipc.files import NewFile, patiently, replace_all

FILE_NAME = "running.json"

_MOST_ASKING = 4
"""Connections at a time."""

_SECRET_S = 5.0
"""Seconds that one has for the secret."""

_LONGEST_LINE = 256


class Running(msgspec.Struct, frozen=True):
    """pid, port: of the daemon, and where it is asked on 127.0.0.1."""

    pid: int
    port: int
    secret: str

    def __repr__(self) -> str:
        return f"Running({self.pid}, {self.port})"


class Stopping(msgspec.Struct, frozen=True):
    """wait_s: how long it takes at most, in seconds, unless a disk does not answer."""

    wait_s: float


class Stopped(msgspec.Struct, frozen=True):
    """sessions: that were open. unfinished: of those, the ones without all of their results. journalled: whether their
    audio is kept for the next start."""

    sessions: int
    unfinished: int
    journalled: bool


def running(data_path: Path) -> Running | None:
    """What a daemon that uses that directory has left there; it may have been killed since. None where there is
    nothing. Raises OSError."""
    try:
        return msgspec.json.decode((data_path / FILE_NAME).read_bytes(), type=Running)
    except (FileNotFoundError, ValueError):  # bytes that are no text are no DecodeError
        return None


class StopRequests:
    """The daemon's end, as an async context manager: from its start until all is closed."""

    def __init__(self, data_path: Path, wait_s: float, stop: Callable[[], None]) -> None:
        """wait_s: that a stop takes at most. stop: called when it was asked for, perhaps several times."""
        self._file = data_path / FILE_NAME
        self._wait_s = wait_s
        self._stop = stop
        self._secret = secrets.token_hex(32)
        self._stopped: asyncio.Future[Stopped | None] = asyncio.get_running_loop().create_future()
        self._answered: set[asyncio.Task[None]] = set()  # connections that are being served
        self._server: asyncio.Server | None = None  # None where it can't be asked
        self._before: Running | None = None  # what was in the file

    async def __aenter__(self) -> "StopRequests":
        """Raises OSError where it can't be asked; it is of use all the same."""
        server = await asyncio.start_server(self._asked, "127.0.0.1", 0, limit=_LONGEST_LINE)
        self._server = server
        here = Running(os.getpid(), server.sockets[0].getsockname()[1], self._secret)
        with contextlib.suppress(OSError):  # what is wrong with the directory, others say
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._before = running(self._file.parent)
            self._write(here)
        return self

    def tell(self, stopped: Stopped) -> None:
        """What became of the stop."""
        if not self._stopped.done():
            self._stopped.set_result(stopped)

    async def __aexit__(self, *_: object) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)
        if self._server is not None:
            self._server.close()
        if self._answered:
            await asyncio.wait(self._answered, timeout=1.0)
        with contextlib.suppress(OSError):
            left = running(self._file.parent)
            if left is not None and left.secret == self._secret:  # not that of another daemon
                self._leave()

    def _leave(self) -> None:
        """The file as it was where that is another daemon's, beside which this one could not start."""
        if self._before is not None and psutil.pid_exists(self._before.pid):
            self._write(self._before)
        else:
            patiently(self._file.unlink)

    def _write(self, here: Running) -> None:
        replace_all([NewFile(self._file, msgspec.json.encode(here), mode=0o600)])

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answered.add(task)
        try:
            if len(self._answered) <= _MOST_ASKING and await self._knows_secret(reader):
                self._say(writer, Stopping(self._wait_s))
                self._stop()
                if (stopped := await self._stopped) is not None:
                    self._say(writer, stopped)
        finally:
            self._answered.discard(task)
            writer.close()

    async def _knows_secret(self, reader: asyncio.StreamReader) -> bool:
        try:
            async with asyncio.timeout(_SECRET_S):
                said = await reader.readline()
        except (TimeoutError, ValueError, ConnectionError):  # a line that is too long is a ValueError
            return False
        return hmac.compare_digest(said.strip(), self._secret.encode())

    def _say(self, writer: asyncio.StreamWriter, what: Stopping | Stopped) -> None:
        writer.write(msgspec.json.encode(what) + b"\n")
