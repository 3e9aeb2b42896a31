"""Voices that have a name: given by a client, kept over a kill, and known again in later sessions."""

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection

from tests import wire
from tests.media_files import write
from tests.process.conftest import embedded, recovered, serving, settings, started, stored
from tests.waiting import eventually
from wernicke_daemon import cli
from wernicke_daemon.client import Exit
from wernicke_daemon.config.schema import VoicesSettings
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.records.voices_file import FILE_NAME, VoicesFile

pytestmark = pytest.mark.asyncio

SHE, HE = (wire.turn(number).astype("<f4").tobytes() for number in (0, 3))
QUERY = f"{wire.MONO}&events=session,speaker&language=en"


async def say(socket: ClientConnection, *turns: bytes) -> list[str]:
    """Who speaks in each."""
    names = []
    for turn in turns:
        await socket.send(turn)
        await socket.send('{"type": "flush"}')
        names += speakers((await wire.until(socket, "final"))[-1])
    return names


def speakers(final: dict[str, Any]) -> list[str]:
    said = final["segments"]
    assert {word["speaker"] for segment in said for word in segment["words"]} == {
        segment["speaker"] for segment in said
    }
    return [segment["speaker"] for segment in said]


async def name(socket: ClientConnection, speaker: str, to: str) -> None:
    await socket.send(json.dumps({"type": "name", "speaker": speaker, "name": to}))


async def heard(daemon: Daemon, *turns: bytes, **named: str) -> list[str]:
    """A new session; who speaks in its turns, as it stands at its end. named: at that time, by label."""
    async with wire.open_socket(daemon.port, QUERY) as socket:
        hello = await wire.receive(socket)
        await say(socket, *turns)
        for speaker, to in named.items():
            await name(socket, speaker, to)
        await socket.send('{"type": "stop"}')
        await wire.until(socket, "session_ended")
    await eventually(lambda: not list(daemon.sessions))
    return [speaker for final in stored(daemon, hello["session_id"]) for speaker in speakers(final)]


async def test_a_name_is_told_stored_and_survives_a_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """kill -9 of the front right after; the client that comes back is called by it, and so is what it said before."""
    with serving(tmp_path) as (process, port):
        async with wire.open_socket(port, QUERY) as socket:
            hello = await wire.receive(socket)
            assert await say(socket, SHE, HE) == ["Speaker_00", "Speaker_01"]
            await name(socket, "Speaker_01", "田中")
            update = (await wire.until(socket, "speaker_update"))[-1]
            assert (update["sequence"], update["segments"]) == (2, [{"index": 0, "speaker": "田中"}])
            assert await say(socket, HE) == ["田中"]
            process.kill()
            process.wait()
    back = f"&session={hello['session_id']}&resume_token={hello['resume_token']}"
    async with started(embedded(tmp_path / "data")) as daemon:
        async with wire.open_socket(daemon.port, QUERY + back) as socket:
            assert (await wire.receive(socket))["continues"] == hello["session_id"]
            assert await say(socket, HE, SHE) == ["田中", "Speaker_00"]
        results = stored(daemon, hello["session_id"])
    assert [speakers(result) for result in results] == [["Speaker_00"], ["田中"], ["田中"]]
    assert cli.main(["export", hello["session_id"], "--config", settings(tmp_path)]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [
        "Speaker_00:", "田中:", "田中:", "田中:", "Speaker_00:",
    ]  # fmt: skip


async def test_a_name_survives_a_kill_in_the_journal(tmp_path: Path) -> None:
    """What had no result yet is finished under that name at the next start."""
    with serving(tmp_path) as (process, port):
        async with wire.open_socket(port, QUERY) as socket:
            hello = await wire.receive(socket)
            assert await say(socket, SHE, HE) == ["Speaker_00", "Speaker_01"]
            await name(socket, "Speaker_01", "田中")
            await wire.until(socket, "speaker_update")
            await socket.send(HE)
            state = tmp_path / "data" / "journal" / hello["session_id"] / "state.json"
            await eventually(lambda: "田中" in state.read_text(encoding="utf-8"))
            process.kill()
            process.wait()
    results = await recovered(tmp_path / "data", hello["session_id"])
    assert [speaker for result in results for speaker in speakers(result)][-1] == "田中"


async def test_what_no_voice_can_be_called_is_an_error(tmp_path: Path) -> None:
    """With a sentence; the session goes on."""
    async with started(embedded(tmp_path)) as daemon, wire.open_socket(daemon.port, QUERY) as socket:
        await wire.receive(socket)
        assert await say(socket, SHE) == ["Speaker_00"]
        for speaker, to, word in (
            ("Speaker_00", "a\u0007b", "control characters"),
            ("Speaker_00", "", "empty"),
            ("Speaker_00", "Speaker_01", "choose another name"),
            ("Speaker_05", "田中", "there are: Speaker_00"),
        ):
            await name(socket, speaker, to)
            error = (await wire.until(socket, "error"))[-1]
            assert error["code"] == "INVALID_MESSAGE" and word in error["message"]
        assert await say(socket, SHE) == ["Speaker_00"]


async def test_who_was_named_is_known_in_later_sessions_until_deleted(tmp_path: Path) -> None:
    """Where that is asked for; not before, and not after `wernicke voices delete`."""
    remembering = replace(embedded(tmp_path), voices=VoicesSettings(remember=True))
    told = ["--config", settings(tmp_path, f'runtime.data_dir = "{tmp_path.as_posix()}"')]
    async with started(remembering) as daemon:
        assert await heard(daemon, SHE, HE, Speaker_01="田中") == ["Speaker_00", "田中"]
        assert await heard(daemon, SHE, HE) == ["Speaker_00", "田中"]
    async with started(remembering) as daemon:
        assert await heard(daemon, HE, SHE) == ["田中", "Speaker_01"]
        assert cli.main(["voices", "delete", "田中", *told]) == 0
        assert await heard(daemon, HE) == ["Speaker_00"]
    assert VoicesFile(tmp_path / FILE_NAME).listed() == []
    assert "田中".encode() not in (tmp_path / FILE_NAME).read_bytes()


async def test_nothing_is_remembered_unasked(tmp_path: Path) -> None:
    """A voiceprint is personal data."""
    async with started(embedded(tmp_path)) as daemon:
        assert await heard(daemon, HE, Speaker_00="田中") == ["田中"]
        assert await heard(daemon, HE) == ["Speaker_00"]
    assert not (tmp_path / FILE_NAME).exists()


async def wernicke(*arguments: str) -> tuple[int, str]:
    """The command in a process of its own: its exit code, and what it said."""
    program = [sys.executable, "-c", "import sys; from wernicke_daemon import cli; sys.exit(cli.main())", *arguments]
    run = partial(subprocess.run, program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    ended = await asyncio.to_thread(run)  # the selector loop has no processes on Windows
    return ended.returncode, ended.stdout


async def test_who_is_enrolled_is_known(tmp_path: Path) -> None:
    """From recordings, whether a daemon runs or not; two people in them are told and nobody is enrolled."""
    told = ["--config", settings(tmp_path, 'runtime.profile = "embedded"')]
    he, both = tmp_path / "he.wav", tmp_path / "both.wav"
    write(he, np.concatenate([wire.turn(1), wire.turn(4)])[:, None], rate=16_000)
    write(both, np.concatenate([wire.turn(1), wire.turn(0), wire.turn(2)])[:, None], rate=16_000)
    async with started(embedded(tmp_path / "data")) as daemon:
        code, said = await wernicke("enroll", "Bob", str(both), *told)
        assert code == Exit.INPUT and "2 voices speak" in said
        code, said = await wernicke("enroll", "Bob", str(he), *told)
        assert code == Exit.OK and "Bob is enrolled" in said
        assert await heard(daemon, SHE, HE) == ["Speaker_00", "Bob"]
