"""Who a voice is, said at any time of any part of a meeting: it holds in memory and in the store, before and after."""

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests import wire
from tests.process.conftest import embedded, journalled, serving, settings, started, stored
from tests.waiting import eventually
from wernicke_daemon import cli
from wernicke_daemon.config.schema import Config
from wernicke_daemon.daemon import Daemon

pytestmark = pytest.mark.asyncio

SHE, HE = (wire.turn(number).astype("<f4").tobytes() for number in (0, 3))
QUERY = f"{wire.MONO}&events=session,speaker&language=en"
BOTH = ["Speaker_00", "Speaker_01"]


def config(directory: Path) -> Config:
    return embedded(directory, runtime={"resume_window_s": 0.1})


def coming_back(hello: dict[str, Any]) -> str:
    return f"{QUERY}&session={hello['session_id']}&resume_token={hello['resume_token']}"


async def say(socket: ClientConnection, *turns: bytes) -> list[str]:
    """Who speaks in each."""
    names = []
    for turn in turns:
        await socket.send(turn)
        await socket.send('{"type": "flush"}')
        names += [segment["speaker"] for segment in (await wire.until(socket, "final"))[-1]["segments"]]
    return names


async def met(daemon: Daemon, query: str, *turns: bytes) -> tuple[dict[str, Any], list[str]]:
    """A session from its begin to its end: the greeting, and who spoke."""
    async with wire.open_socket(daemon.port, query) as socket:
        hello = await wire.receive(socket)
        names = await say(socket, *turns)
        socket.transport.abort()
    await eventually(lambda: not list(daemon.sessions))
    return hello, names


async def rename(port: int, hello: dict[str, Any], speaker: str, name: str) -> None:
    async with connect(f"ws://127.0.0.1:{port}/edit") as socket:
        change = {"type": "name", "session_id": hello["session_id"], "speaker": speaker, "name": name}
        await socket.send(json.dumps(change))
        assert await wire.receive(socket) == {"type": "done"}


def in_store(daemon: Daemon, hello: dict[str, Any]) -> list[str]:
    finals = [result for result in stored(daemon, hello["session_id"]) if result["type"] == "final"]
    return [segment["speaker"] for final in finals for segment in final["segments"]]


async def test_in_what_is_over_and_in_what_goes_on_for_it(tmp_path: Path) -> None:
    """Whichever of the two is named, by its client or by a page; also where the first is in the store alone."""
    async with started(config(tmp_path)) as daemon:
        first, names = await met(daemon, QUERY, SHE, HE)
        assert names == BOTH
    async with started(config(tmp_path)) as daemon, wire.open_socket(daemon.port, coming_back(first)) as socket:
        second = await wire.receive(socket)
        assert await say(socket, HE) == ["Speaker_01"]
        await rename(daemon.port, first, "Speaker_01", "田中")
        assert (await wire.until(socket, "speaker_update"))[-1]["segments"][0]["speaker"] == "田中"
        assert await say(socket, HE, SHE) == ["田中", "Speaker_00"]
        await socket.send('{"type": "name", "speaker": "Speaker_00", "name": "佐藤"}')
        await wire.until(socket, "speaker_update")
        await eventually(lambda: in_store(daemon, second) == ["田中", "田中", "佐藤"])
        assert in_store(daemon, first) == ["佐藤", "田中"]
    async with started(config(tmp_path)) as daemon:
        assert (await met(daemon, coming_back(first), HE, SHE))[1] == ["田中", "佐藤"]
        assert (await met(daemon, coming_back(second), HE, SHE))[1] == ["田中", "佐藤"]


async def test_who_goes_on_for_what_was_named_in_the_store_alone(tmp_path: Path) -> None:
    async with started(config(tmp_path)) as daemon:
        first, _ = await met(daemon, QUERY, SHE, HE)
    async with started(config(tmp_path)) as daemon:
        await rename(daemon.port, first, "Speaker_01", "田中")
        assert in_store(daemon, first) == ["Speaker_00", "田中"]
        assert (await met(daemon, coming_back(first), HE, SHE))[1] == ["田中", "Speaker_00"]


async def test_in_results_from_before_a_kill(tmp_path: Path) -> None:
    """Of a session that is finished by the next start. It is named before that in the store alone, and then again."""
    with serving(tmp_path) as (process, port):
        async with wire.open_socket(port, QUERY) as socket:
            hello = await wire.receive(socket)
            assert await say(socket, SHE, HE) == BOTH
            await socket.send(HE)
            journal = tmp_path / "data" / "journal" / hello["session_id"]
            await eventually(lambda: journalled(journal) == (len(SHE) + 2 * len(HE)) // 4)
            process.kill()
            process.wait()
    told = ["--config", settings(tmp_path, f'runtime.data_dir = "{(tmp_path / "data").as_posix()}"')]
    assert cli.main(["name", hello["session_id"], "Speaker_01", "田中", *told]) == 0
    async with started(embedded(tmp_path / "data")) as daemon:
        assert daemon.recovery is not None
        await daemon.recovery
        assert in_store(daemon, hello) == ["Speaker_00", "田中", "田中"]
        await rename(daemon.port, hello, "田中", "佐藤")
        await eventually(lambda: in_store(daemon, hello) == ["Speaker_00", "佐藤", "佐藤"])
