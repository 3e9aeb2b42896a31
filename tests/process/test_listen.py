"""`wernicke listen` with a real daemon, over a line that breaks. Only the microphone is a stand-in: it plays a file as
fast as it is spoken."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr

from tests import wire
from tests.breakable_line import BreakableLine, breakable_line
from tests.microphone import playing
from tests.process.conftest import embedded, started, stored
from tests.waiting import eventually
from wernicke_daemon.client import Exit
from wernicke_daemon.commands.listen import listen
from wernicke_daemon.daemon import Daemon

pytestmark = pytest.mark.asyncio

RATE = 192_000
"""Of a device that does nothing else."""


def spoken() -> wire.Samples:
    """The last three turns of the clip: 13 s."""
    times = wire.REFERENCE["turns"]
    return wire.clip()[round((times[4]["start"] - 0.4) * 16_000) :][: 13 * 16_000]


def interface(samples: wire.Samples) -> np.ndarray:
    """As a stereo-only device at 192 kHz records it, with the voice on its second input."""
    up = soxr.resample(samples, 16_000, RATE)
    return np.stack([np.zeros_like(up), up], axis=1)


def arguments(port: int) -> argparse.Namespace:
    return argparse.Namespace(
        url=f"ws://127.0.0.1:{port}/transcribe",
        token=None,
        language="en",
        live_file=None,
        cafile=None,
        device="interface",
    )


async def whole(daemon: Daemon) -> list[str]:
    """What the same audio gives over a line that holds."""
    messages = await wire.transcribe(daemon.port, spoken().astype("<f4").tobytes(), f"{wire.MONO}&language=en")
    return [final["text"] for final in wire.finals(messages)]


async def cut_while_listening(line: BreakableLine, daemon: Daemon, down_s: float, over: asyncio.Event) -> list[str]:
    """The line is down for so long in the middle of what is said. Returns the ids of the sessions there were."""
    (session,) = await eventually(lambda: [each for each in daemon.sessions if each.ring.written > 3 * 16_000])
    line.cut()
    await asyncio.sleep(down_s)
    line.mend()
    await over.wait()
    seen = [session.id, *(each.id for each in daemon.sessions if each.id != session.id)]
    signal.raise_signal(signal.SIGINT)
    return seen


async def test_a_line_that_breaks_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The session goes on where it was: every sample came, and the text is that of a line that held. The device is
    opened as it can be."""
    over = asyncio.Event()
    monkeypatch.setitem(sys.modules, "sounddevice", playing(interface(spoken()), RATE, ((RATE, 2),), over))
    async with started(embedded(tmp_path)) as daemon, breakable_line(daemon.port) as line:
        expected = await whole(daemon)
        listening = asyncio.create_task(listen(arguments(line.port)))
        (session,) = await eventually(lambda: list(daemon.sessions))
        [seen] = await cut_while_listening(line, daemon, 3.0, over)
        assert await listening is Exit.OK
        assert session.id == seen
        assert session.account()["received_s"] == pytest.approx(13.0, abs=0.001)
        assert [result["text"] for result in stored(daemon, seen) if result["type"] == "final"] == expected
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == len(expected) > 1
    assert f"Listening to Test Interface (2 × {RATE} Hz)" in said.err
    assert said.err.index("is broken; audio is kept") < said.err.index("is back;")


async def test_after_the_window_another_session_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was said meanwhile is in it, and it is told that there are two. All times are those of one recording."""
    over = asyncio.Event()
    monkeypatch.setitem(sys.modules, "sounddevice", playing(interface(spoken()), RATE, ((RATE, 2),), over))
    async with (
        started(embedded(tmp_path, runtime={"resume_window_s": 0.5})) as daemon,
        breakable_line(daemon.port) as line,
    ):
        listening = asyncio.create_task(listen(arguments(line.port)))
        before, after = await cut_while_listening(line, daemon, 5.0, over)
        assert await listening is Exit.LOST
        results = stored(daemon, after)
    said = capsys.readouterr()
    assert f"given up session {before}" in said.err
    assert "monday morning" in " ".join(result["text"] for result in results)
    [last] = [line for line in said.out.splitlines() if "monday" in line]
    assert last.startswith(("[00:10]", "[00:09]"))
