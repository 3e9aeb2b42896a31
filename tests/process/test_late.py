"""What is given up while the recogniser is down: done once it is back, in its range, under its number, into the
store."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from websockets.asyncio.client import connect

from ipc.settings import Fault, StageSettings
from tests import wire
from tests.process.conftest import embedded, stored
from tests.process.test_overload import KILL, break_for_good, say, sleeping
from tests.waiting import eventually
from wernicke_daemon.config.schema import Config
from wernicke_daemon.daemon import Daemon

RUNTIME = {"asr_down_limit_s": 0.8, "restarts_max": 1, "backoff_first_s": 0.1, "backoff_max_s": 0.3}
Message = dict[str, Any]


async def given_up(daemon: Daemon, count: int, patch: pytest.MonkeyPatch) -> list[Message]:
    """So many utterances of a session, while there is no recogniser: what its client hears of them, to its end."""
    break_for_good(daemon, "asr", patch)
    async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session,status") as socket:
        await say(socket, count)
        await socket.send('{"type": "stop"}')
        return await wire.until(socket, "session_ended")


def session_of(messages: list[Message]) -> str:
    return str(next(m["session_id"] for m in messages if m["type"] == "connection_established"))


def errors_in(messages: list[Message]) -> list[tuple[int, str]]:
    return [(message["sequence"], message["code"]) for message in messages if message["type"] == "error"]


async def undisturbed(tmp_path: Path, count: int) -> list[Message]:
    """The finals of as many, from a daemon whose recogniser works."""
    async with (
        sleeping(embedded(tmp_path / "undisturbed"), asr_ms=5) as daemon,
        wire.open_socket(daemon.port, wire.MONO) as socket,
    ):
        await say(socket, count)
        await socket.send('{"type": "stop"}')
        return wire.finals(await wire.until(socket, "session_ended"))


def same(message: Message) -> Message:
    """What does not depend on when it was done."""
    names = ("type", "sequence", "text", "timestamp_range", "duration", "trigger", "warnings")
    return {name: message[name] for name in names}


async def deleted(daemon: Daemon, session: str) -> Message:
    async with connect(f"ws://127.0.0.1:{daemon.port}/edit") as socket:
        await socket.send(json.dumps({"type": "delete", "session_id": session}))
        return await wire.receive(socket)


def journal_of(config: Config) -> list[str]:
    return [path.name for path in (config.data_path / "journal").glob("*/")]


async def test_it_is_in_the_store_when_the_recogniser_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client is told that it comes late, and its session ends without it. What is said later is served meanwhile,
    and the session can't be deleted, as it would come back. Then nothing of it is in the journal."""
    config = embedded(tmp_path / "data", runtime=RUNTIME)
    whole = await undisturbed(tmp_path, 3)
    async with sleeping(config, asr_ms=5) as daemon:
        with monkeypatch.context() as patch:
            messages = await given_up(daemon, 3, patch)
            session = session_of(messages)
            assert errors_in(messages) == [(number, "TRANSCRIPTION_LATE") for number in (1, 2, 3)]
            assert "is kept" in next(m["message"] for m in messages if m["type"] == "error")
            assert [message["code"] for message in stored(daemon, session)] == ["TRANSCRIPTION_LATE"] * 3
            assert journal_of(config) == [session]
            assert "not over yet" in (await deleted(daemon, session))["message"]
        await eventually(lambda: all(m["type"] == "final" for m in stored(daemon, session)))
        await eventually(lambda: journal_of(config) == [])
        late = stored(daemon, session)
        assert await deleted(daemon, session) == {"type": "done"} and not stored(daemon, session)
    assert [same(message) for message in late] == [same(message) for message in whole]


async def test_it_is_finished_by_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside results that were there: those stay as they are."""
    config = embedded(tmp_path / "data", runtime=RUNTIME)
    whole = await undisturbed(tmp_path, 3)
    with monkeypatch.context() as patch:
        async with sleeping(config, asr_ms=5) as daemon:
            session = session_of(await given_up(daemon, 3, patch))
    assert journal_of(config) == [session]
    async with sleeping(config, asr_ms=5) as daemon:
        await eventually(lambda: all(m["type"] == "final" for m in stored(daemon, session)))
        await eventually(lambda: journal_of(config) == [])
        late = stored(daemon, session)
    assert [same(message) for message in late] == [same(message) for message in whole]


async def test_a_session_that_goes_on_has_its_late_ones_between_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three before, two late, one after: each once in the store; its client hears nothing more of the late ones."""
    config = embedded(tmp_path / "data", runtime=RUNTIME)
    async with (
        sleeping(config, asr_ms=5) as daemon,
        wire.open_socket(daemon.port, f"{wire.MONO}&events=session,status") as socket,
    ):
        session = str((await wire.receive(socket))["session_id"])
        await say(socket, 3)
        messages = [(await wire.until(socket, "final"))[-1] for _ in range(3)]
        with monkeypatch.context() as patch:
            break_for_good(daemon, "asr", patch)
            await say(socket, 2)
            messages += [(await wire.until(socket, "error"))[-1] for _ in range(2)]
        await eventually(lambda: len([m for m in stored(daemon, session) if m["type"] == "final"]) == 5)
        await say(socket, 1)
        messages += await wire.until(socket, "final")
        await socket.send(json.dumps({"type": "stop"}))
        rest = await wire.until(socket, "session_ended")
        await eventually(lambda: journal_of(config) == [])
        kept = stored(daemon, session)
    heard = [(m["sequence"], m["type"]) for m in [*messages, *rest] if m.get("sequence")]
    assert heard == [(1, "final"), (2, "final"), (3, "final"), (4, "error"), (5, "error"), (6, "final")]
    assert [(m["sequence"], m["type"]) for m in kept] == [(number, "final") for number in range(1, 7)]
    starts = [m["timestamp_range"]["start"] for m in kept]
    assert starts == sorted(starts) and len(set(starts)) == 6


async def test_without_a_journal_it_is_lost_and_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = embedded(tmp_path / "data", runtime=RUNTIME)
    config = replace(config, journal=replace(config.journal, enabled=False))
    async with sleeping(config, asr_ms=5) as daemon:
        with monkeypatch.context() as patch:
            messages = await given_up(daemon, 2, patch)
    assert errors_in(messages) == [(1, "TRANSCRIPTION_FAILED"), (2, "TRANSCRIPTION_FAILED")]
    assert "is lost" in next(m["message"] for m in messages if m["type"] == "error")


async def test_nothing_is_given_up_while_a_recogniser_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading takes several times `runtime.asr_down_limit_s` after a replacement: all that waited has its text."""
    async with (
        sleeping(embedded(tmp_path, runtime=RUNTIME), asr_ms=5) as daemon,
        wire.open_socket(daemon.port, f"{wire.MONO}&events=status") as socket,
    ):
        launcher = daemon.pipeline.supervisor.replicas("asr")[0]._launcher
        slow = (Fault("turn_load", seconds=3.0),)
        settings: StageSettings = replace(launcher._setup.settings, faults={"asr": slow})
        monkeypatch.setattr(launcher, "_setup", replace(launcher._setup, settings=settings))
        pid = daemon.pipeline.ports["asr"].status().pid
        assert pid is not None
        os.kill(pid, KILL)
        await eventually(lambda: daemon.pipeline.ports["asr"].status().pid != pid)
        began = asyncio.get_running_loop().time()
        await say(socket, 3)
        await socket.send('{"type": "stop"}')
        messages = await wire.until(socket, "session_ended")
        assert asyncio.get_running_loop().time() - began > 2 * RUNTIME["asr_down_limit_s"]
    assert errors_in(messages) == []
    assert [final["sequence"] for final in wire.finals(messages)] == [1, 2, 3]
