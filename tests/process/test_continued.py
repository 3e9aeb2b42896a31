"""Who comes back too late gets a session that goes on with the voices of the old one."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import wire
from tests.process.conftest import embedded, settings, started
from tests.waiting import eventually
from wernicke_daemon import cli
from wernicke_daemon.config.schema import Config
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.records import session_list, transcript_file
from wernicke_daemon.utterances.voices import Known

pytestmark = pytest.mark.asyncio

SHE, HE = (wire.turn(number).astype("<f4").tobytes() for number in (0, 3))


def config(directory: Path) -> Config:
    return embedded(directory, runtime={"resume_window_s": 0.1})


async def speakers(port: int, *turns: bytes, back_to: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[Any]]:
    """The greeting, and who speaks in each turn."""
    query = f"{wire.MONO}&events=session&language=en"
    if back_to:
        query += f"&session={back_to['session_id']}&resume_token={back_to['resume_token']}"
    async with wire.open_socket(port, query) as socket:
        hello = await wire.receive(socket)
        names = []
        for turn in turns:
            await socket.send(turn)
            await socket.send('{"type": "flush"}')
            final = (await wire.until(socket, "final"))[-1]
            names.append(final["segments"][0]["speaker"])
        socket.transport.abort()
    return hello, names


async def until_over(daemon: Daemon) -> None:
    await eventually(lambda: not list(daemon.sessions))


async def test_everybody_keeps_their_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After the window, and after a restart; not for one who has not the secret of the session. All of it is exported
    as one."""
    async with started(config(tmp_path)) as daemon:
        first, names = await speakers(daemon.port, SHE, HE)
        assert (first["continues"], names) == (None, ["Speaker_00", "Speaker_01"])
        await until_over(daemon)
        second, names = await speakers(daemon.port, HE, back_to=first)
        assert (second["resumed"], second["continues"], names) == (False, first["session_id"], ["Speaker_01"])
        await until_over(daemon)
    async with started(config(tmp_path)) as daemon:
        third, names = await speakers(daemon.port, HE, SHE, back_to=second)
        assert (third["continues"], names) == (second["session_id"], ["Speaker_01", "Speaker_00"])
        stranger, names = await speakers(daemon.port, HE, back_to=first | {"resume_token": "guessed"})
        assert (stranger["continues"], names) == (None, ["Speaker_00"])
        await until_over(daemon)
    told = ["--config", settings(tmp_path, f'runtime.data_dir = "{tmp_path.as_posix()}"')]
    assert cli.main(["export", second["session_id"], *told]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == [f"Speaker_0{number}:" for number in (0, 1, 1, 1, 0)]
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)
    assert cli.main(["sessions", *told]) == 0
    listed = {line.split()[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines()}
    assert listed[third["session_id"]] == second["session_id"]


async def test_a_secret_is_not_on_disk(tmp_path: Path) -> None:
    """Only a hash of it."""
    async with started(config(tmp_path)) as daemon:
        hello, _ = await speakers(daemon.port, SHE)
        await until_over(daemon)
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert any(hello["session_id"].encode() in data for data in kept)
    assert not any(hello["resume_token"].encode() in data for data in kept)


async def test_results_that_are_under_way_name_no_other_voice_alike(tmp_path: Path) -> None:
    """The old session's last utterance has a new voice, and so has the new session's first: these are two."""
    async with started(config(tmp_path)) as daemon:
        async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session,ack&language=en") as socket:
            hello = await wire.receive(socket)
            await socket.send(SHE)
            await wire.until(socket, "audio_received")
            (old,) = daemon.sessions
            socket.transport.abort()
        await eventually(lambda: old.ended is not None)
        _, names = await speakers(daemon.port, HE, back_to=hello)
        await until_over(daemon)
        with transcript_file.reading(daemon._config.data_path / transcript_file.FILE_NAME) as database:
            [before] = transcript_file.results(database, hello["session_id"])
    assert {before["segments"][0]["speaker"], *names} == {"Speaker_00", "Speaker_01"}


async def test_an_older_store_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its sessions stay, and are listed before a daemon has opened it, too."""
    file = tmp_path / transcript_file.FILE_NAME
    with closing(sqlite3.connect(file)) as database:
        for schema in transcript_file._SCHEMAS[:2]:
            database.executescript(schema)
        database.executescript(
            "INSERT INTO session (id, begun, ended, language, peer, started) VALUES ('old', 5, 9, 'ja', '', 5);"
            "PRAGMA user_version = 2;"
        )
    with transcript_file.reading(file) as database:
        assert [session.continues for session in session_list.sessions(database)] == [None]
        assert transcript_file.meeting(database, "old") == [("old", 0.0)]
    transcript_file.open_for_writing(file).close()
    with transcript_file.reading(file) as database:
        assert [(session.id, session.begun) for session in session_list.sessions(database)] == [("old", 5.0)]
        assert transcript_file.earlier(database, "old") == transcript_file.EarlierSession("old", None, Known())
