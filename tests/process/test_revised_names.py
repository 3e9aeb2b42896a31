"""Who said something turns out later: real speech through a daemon."""

from pathlib import Path

import pytest

from tests import wire
from tests.process.conftest import embedded, settings, started
from wernicke_daemon import cli
from wernicke_daemon.records import transcript_file

pytestmark = pytest.mark.asyncio

SHE, HE = (wire.turn(number, after_s=2.3).astype("<f4").tobytes() for number in (0, 3))
BEGINNING = wire.turn(0)[: int(1.3 * 16_000)].astype("<f4").tobytes()
"""Too little of her to found a voice."""


async def test_a_voice_that_is_known_later_is_named_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a few words nobody can say who said them; once she has said more, they are hers. The client is told, and what
    is stored and exported has her name."""
    async with started(embedded(tmp_path)) as daemon:
        async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session,speaker&language=en") as socket:
            session = (await wire.receive(socket))["session_id"]
            finals = []
            for audio in (BEGINNING, HE, SHE):
                await socket.send(audio)
                await socket.send('{"type": "flush"}')
                finals.append((await wire.until(socket, "final"))[-1])
            update = await wire.receive(socket)
            await socket.send('{"type": "stop"}')
            assert [message["type"] for message in await wire.until(socket, "session_ended")] == ["session_ended"]
        assert [final["segments"][0]["speaker"] for final in finals] == [None, "Speaker_00", "Speaker_01"]
        assert update["type"] == "speaker_update"
        assert (update["session_id"], update["buffer_id"], update["sequence"]) == (session, finals[0]["buffer_id"], 1)
        assert update["segments"] == [{"index": 0, "speaker": "Speaker_01"}]
        with transcript_file.reading(daemon._config.data_path / transcript_file.FILE_NAME) as database:
            [stored, *others] = transcript_file.results(database, session)
    assert others == finals[1:]
    assert stored["segments"][0]["speaker"] == "Speaker_01"
    assert stored["revision"] == update["revision"] == finals[0]["revision"] + 1
    told = ["--config", settings(tmp_path, f'runtime.data_dir = "{tmp_path.as_posix()}"')]
    assert cli.main(["export", "last", *told]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["Speaker_01:", "Speaker_00:", "Speaker_01:"]


async def test_the_last_look_is_told_before_the_end(tmp_path: Path) -> None:
    """A client that says that two people speak gets two, though one is all that is heard: names change at `stop`, and
    it hears of it."""
    async with started(embedded(tmp_path)) as daemon:
        query = f"{wire.MONO}&events=session,speaker&language=en&speakers=2"
        messages = await wire.transcribe(daemon.port, SHE + SHE, query)
    finals = wire.finals(messages)
    assert [final["segments"][0]["speaker"] for final in finals] == ["Speaker_00", "Speaker_00"]
    [update] = [message for message in messages if message["type"] == "speaker_update"]
    assert update["segments"] == [{"index": 0, "speaker": "Speaker_01"}]
    assert messages[-1]["type"] == "session_ended"
