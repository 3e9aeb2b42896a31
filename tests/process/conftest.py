"""The real daemon, with the embedded engines, for the tests of this folder: its stage processes are real ones."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest_asyncio
from msgspec.structs import replace

from tests.waiting import eventually
from wernicke_daemon.config.load import overrides
from wernicke_daemon.config.schema import Config, SecuritySettings, WebSettings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.hardware.profiles import applied
from wernicke_daemon.records import transcript_file
from wernicke_daemon.wire import tokens


def embedded(directory: Path, **changes: Any) -> Config:
    """Embedded engines on a free port of loopback; data goes into `directory`."""
    config = applied(overrides(Config(), host="127.0.0.1", port=0), "embedded")
    return replace(
        config,
        logging=replace(config.logging, console=False),
        runtime=replace(config.runtime, data_dir=str(directory), **changes.pop("runtime", {})),
        **changes,
    )


@asynccontextmanager
async def started(config: Config) -> AsyncIterator[Daemon]:
    async with running(config, progress=lambda line: None) as daemon:
        yield daemon


async def pages_up(daemon: Daemon) -> None:
    """Its web process, where it has one, can be asked."""
    await eventually(lambda: listening(daemon.web.port))


async def listening(port: int | None) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: Any) -> AsyncIterator[Daemon]:
    """One daemon for a module's tests. They share it, as clients do."""
    directory = tmp_path_factory.mktemp("data")
    async with started(embedded(directory)) as daemon:
        yield daemon
        await eventually(lambda: not daemon.gateway.active)


ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "run_daemon.py"), *arguments]


def settings(directory: Path, text: str = "") -> str:
    """A config.toml whose data stays in `directory`, without pages where the text does not speak of them."""
    file = directory / "config.toml"
    web = "" if "[web]" in text else "[web]\nenabled = false\n"
    file.write_text(f"{text}\n{web}[logging]\nconsole = false\n", encoding="utf-8")
    return str(file)


MAIN = "from wernicke_daemon.cli import main; raise SystemExit(main())"


def stop(directory: Path) -> subprocess.CompletedProcess[str]:
    """`wernicke stop`, for the daemon of `settings` or `serving`: on Windows no signal asks another process to end."""
    told = [sys.executable, "-c", MAIN, "stop", "--config", str(directory / "config.toml")]
    return subprocess.run(told, cwd=ROOT, capture_output=True, text=True, timeout=110)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def journalled(directory: Path) -> int:
    """Number of samples of a session, up to the last that its journal has on disk."""
    last = max(directory.glob("*.f32"), default=None)
    return int(last.stem) + last.stat().st_size // 4 if last else 0


def stored(daemon: Daemon, session: str) -> list[dict[str, Any]]:
    """Its results on disk, in order, as messages of the protocol."""
    with transcript_file.reading(daemon._config.data_path / transcript_file.FILE_NAME) as database:
        return transcript_file.results(database, session)


async def recovered(directory: Path, session: str) -> list[dict[str, Any]]:
    """Results of a session of a daemon that is no more, with those that a start makes of its journal. directory: of
    the data."""
    async with started(embedded(directory)) as daemon:
        assert daemon.recovery is not None
        await daemon.recovery
        return stored(daemon, session)


@contextmanager
def serving(
    directory: Path, text: str = "", launcher: tuple[str, ...] = (), profile: str = "embedded"
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A daemon that takes sessions, and its port; with the embedded engines, if with no other profile's. text: of its
    config.toml. launcher: the command that starts it."""
    file = settings(directory, text)
    options = ("--config", file, "--profile", profile, "--host", "127.0.0.1", "--port", "0")
    process = subprocess.Popen([*launcher, *command(*options)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        while line and not line.startswith("Ready"):
            line = process.stdout.readline()
        assert line, "the daemon ended before it was ready"
        port = urlsplit(line.split()[1]).port
        assert port is not None
        yield process, port
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def wanting(key: str, directory: Path) -> AsyncIterator[Daemon]:
    """A daemon for two clients at most that wants a key, with its web process; everybody has left it at the end."""
    config = replace(
        embedded(directory, max_connections=2),
        web=WebSettings(port=0),
        security=SecuritySettings(clients=(tokens.hash_of(key),)),
    )
    async with running(config, lambda line: None, pages=True) as daemon:
        await pages_up(daemon)
        yield daemon
        await eventually(lambda: not daemon.gateway.active)
