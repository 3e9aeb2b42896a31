"""Disks that are full or away while a daemon serves."""

import sys
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from tests import wire
from tests.process.conftest import embedded, journalled, recovered, serving, started, stored
from tests.process.faults.disturbed import problems, told
from tests.waiting import eventually
from wernicke_daemon.records import session_list, transcript_file, writer
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import SessionMeta

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def all_is_well(port: int) -> bool:
    return not await problems(port)


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits for another process")
async def test_a_session_is_journalled_again_after_a_full_disk(tmp_path: Path) -> None:
    """/health is well again though nobody speaks, and audio that comes after that survives kill -9."""
    import resource

    parts = [wire.turn(5, after_s=2.3), wire.turn(3, after_s=2.3), wire.turn(2)]
    with serving(tmp_path) as (process, port):
        whole = wire.finals(await wire.transcribe(port, np.concatenate(parts).astype("<f4").tobytes()))
        async with wire.open_socket(port, f"{wire.MONO}&events=session") as socket:
            hello = await wire.receive(socket)
            directory = tmp_path / "data" / "journal" / hello["session_id"]
            await socket.send(parts[0].astype("<f4").tobytes())
            await wire.until(socket, "final")
            _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4 * len(parts[0]), resource.RLIM_INFINITY))
            await socket.send(parts[1].astype("<f4").tobytes())
            await wire.until(socket, "final")
            await eventually(lambda: told(port, "not journalled"))
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
            await eventually(lambda: all_is_well(port))
            await socket.send(parts[2].astype("<f4").tobytes())
            await eventually(lambda: journalled(directory) >= sum(map(len, parts)))
            process.kill()
            process.wait()
    results = await recovered(tmp_path / "data", hello["session_id"])
    assert [result["sequence"] for result in results] == [1, 2, 3]
    assert [result["trigger"] for result in results] == ["silence", "silence", "disconnect"]
    for result, expected in zip(results, whole, strict=True):
        assert SequenceMatcher(None, result["text"].split(), expected["text"].split()).ratio() > 0.9
        assert result["timestamp_range"]["end"] == pytest.approx(expected["timestamp_range"]["end"], abs=0.1)
    assert results[2]["timestamp_range"]["start"] >= (len(parts[0]) + len(parts[1])) / 16_000


async def test_audio_stays_until_its_results_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store fails while what a killed daemon left is finished, and while a client speaks. What the daemon holds in
    memory ends with it, and the next one makes those results again, and knows when the session began."""
    monkeypatch.setattr(writer, "CLOSE_TIMEOUT_S", 0.5)  # the file is not let go of, however long a stop waits
    speech = wire.turn(5).astype("<f4")
    journal = Journal(tmp_path / "journal", 100)
    journal.begin("left", SessionMeta(language="en", wall_start=1_700_000_000.0))
    journal.append("left", 0, speech)
    journal.close()
    with transcript_file.open_for_writing(tmp_path / transcript_file.FILE_NAME) as other:
        other.execute("BEGIN IMMEDIATE")  # another program that never lets go of the file
        async with started(embedded(tmp_path)) as daemon:
            assert daemon.recovery is not None
            await daemon.recovery
            async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session") as socket:
                hello = await wire.receive(socket)
                await socket.send(speech.tobytes())
                await socket.send('{"type": "stop"}')
                assert wire.finals(await wire.until(socket, "session_ended"))
    other.close()
    async with started(embedded(tmp_path)) as daemon:
        assert daemon.recovery is not None
        await daemon.recovery
        for session in ("left", hello["session_id"]):
            assert [result["type"] for result in stored(daemon, session)] == ["final"]
    with transcript_file.reading(tmp_path / transcript_file.FILE_NAME) as database:
        assert {one.id: one.begun for one in session_list.sessions(database)}["left"] == 1_700_000_000.0
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["lock"]


async def test_what_lies_behind_a_hole_is_recovered_in_its_place(tmp_path: Path) -> None:
    """Speech on both sides of a hole that is shorter than the silence that ends an utterance: two results."""
    before, after = wire.turn(5)[:-16_000], wire.turn(2)
    behind = len(before) + 8_000
    journal = Journal(tmp_path / "journal", 100)
    journal.begin("s", SessionMeta(language="en"))
    journal.append("s", 0, before)
    journal.close()
    (tmp_path / "journal" / "s" / f"{behind:015d}.f32").write_bytes(after.astype("<f4").tobytes())
    first, second = await recovered(tmp_path, "s")
    assert [first["trigger"], second["trigger"]] == ["flush", "disconnect"]
    assert first["timestamp_range"]["end"] <= len(before) / 16_000
    assert second["timestamp_range"]["start"] >= len(before) / 16_000
    assert second["timestamp_range"]["end"] == pytest.approx((behind + len(after)) / 16_000, abs=1.0)
