"""A daemon with its pages, each process a real one; and a browser."""

import contextlib
import json
import threading
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from selenium.webdriver import Chrome

from tests import wire
from tests.process.conftest import serving
from tests.waiting import eventually_sync
from tests.web import browser

PIECE = 1600
"""Samples: a tenth of a second."""


@dataclass
class Served:
    """process: the daemon's. port: of the front. pages: the address of the pages."""

    process: psutil.Process
    port: int
    pages: str
    log: Path

    def web(self) -> psutil.Process | None:
        """The web process, None while there is none."""
        for child in self.process.children():
            with contextlib.suppress(psutil.Error):  # one that has just ended
                if "wernicke_daemon.web" in child.cmdline():
                    return child
        return None

    def kill_web(self) -> None:
        """As kill -9 does; returns when there is another one."""
        before = eventually_sync(self.web)
        before.kill()
        eventually_sync(lambda: (now := self.web()) is not None and now.pid != before.pid)

    def events(self, name: str) -> list[dict[str, Any]]:
        """From the log."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in map(json.loads, lines) if line["event"] == name]


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds of the clip, as the browser's fake microphone plays it."""
    file = tmp_path_factory.mktemp("sound") / "microphone.wav"
    samples = np.concatenate([wire.turn(0), wire.turn(1), np.zeros(16_000 * 3, np.float32)])
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(wire.as_int16(samples))
    return file


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    browser.found()
    directory = tmp_path_factory.mktemp("served")
    with serving(directory, "[web]\nport = 0\n") as (process, port):
        assert process.stdout is not None
        pages = process.stdout.readline().split()[1]
        daemon = Served(psutil.Process(process.pid), port, pages, directory / "data" / "logs" / "wernicke.jsonl")
        eventually_sync(lambda: answers(pages))
        yield daemon


def answers(pages: str) -> bool:
    try:
        return httpx.get(pages, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def chrome(microphone: Path) -> Iterator[Chrome]:
    with browser.opened(browser.hearing(microphone)) as chrome:
        yield chrome
        assert browser.complaints(chrome) == []


MEETING = "Meeting"


@pytest.fixture
def sharing() -> Iterator[Chrome]:
    """One that shares the tab of that title."""
    with browser.opened(browser.sharing(MEETING)) as chrome:
        yield chrome
        assert browser.complaints(chrome) == []


@dataclass
class Speech:
    """A client that streams in real time from a thread of its own. messages: what it was sent."""

    port: int
    audio: np.ndarray[Any, np.dtype[np.float32]]
    messages: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def finals(self) -> list[dict[str, Any]]:
        return wire.finals(list(self.messages))

    def end(self) -> None:
        """Everything is said and came back."""
        self._thread.join()

    def _run(self) -> None:
        from websockets.sync.client import connect

        query = f"{wire.MONO}&events=session&language=en"
        with connect(f"ws://127.0.0.1:{self.port}/transcribe?{query}", compression=None) as socket:
            receiver = threading.Thread(target=self._receive, args=(socket,))
            receiver.start()
            paced = threading.Event()  # never set: real time goes on between pieces
            for at in range(0, len(self.audio), PIECE):
                socket.send(self.audio[at : at + PIECE].astype("<f4").tobytes())
                paced.wait(PIECE / 16_000)
            socket.send('{"type": "stop"}')
            receiver.join()

    def _receive(self, socket: Any) -> None:
        for message in socket:
            self.messages.append(json.loads(message))
