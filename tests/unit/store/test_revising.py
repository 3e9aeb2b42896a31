"""Names of kept results that are known better later, and what is remembered of voices."""

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from tests.unit.store.kept import Deliveries, final, keep, opened, results
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.earlier import Resume
from wernicke_daemon.records.store import Store
from wernicke_daemon.utterances.voices import Known
from wernicke_daemon.wire.protocol import SegmentSpeaker, SpeakerUpdate, WordOut


def update(sequence: int, name: str, revision: int = 2) -> SpeakerUpdate:
    return SpeakerUpdate("s", f"buff_{sequence}", sequence, revision, [SegmentSpeaker(0, name)])


async def revise(kept: Store, *updates: SpeakerUpdate, session: str = "s") -> None:
    deliveries = Deliveries()
    for number, one in enumerate(updates):
        kept.revise(session, one, deliveries.of(number))
    await deliveries.all_of(len(updates))
    assert deliveries.numbers == list(range(len(updates)))


def speakers(file: Path) -> list[tuple[str, int]]:
    return [(result["segments"][0]["speaker"], result["revision"]) for result in results(file)]


async def test_a_result_has_its_new_name(file: Path) -> None:
    """With its revision, on the segment and its words, and nothing else of it changes; others stay as they are."""
    one = final(1, "文", "Speaker_00")
    words = [WordOut(0.0, 1.0, "文", 0.9, "Speaker_00")]
    one = msgspec.structs.replace(one, segments=[msgspec.structs.replace(one.segments[0], words=words)])
    async with opened(file) as kept:
        await keep(kept, one, final(2, speaker="Speaker_00"))
        [before, other] = results(file)
        await revise(kept, update(1, "Speaker_01"))
        [after, same] = results(file)
    before["revision"] = 2
    before["segments"][0]["speaker"] = before["segments"][0]["words"][0]["speaker"] = "Speaker_01"
    assert (after, same) == (before, other)


async def test_the_latest_revision_stands(file: Path) -> None:
    """Also where one comes again."""
    async with opened(file) as kept:
        await keep(kept, final(1, speaker="Speaker_00"))
        await revise(kept, update(1, "Speaker_02", 3), update(1, "Speaker_01", 2))
        assert speakers(file) == [("Speaker_02", 3)]


async def test_what_is_not_there_is_not_revised(file: Path) -> None:
    """As after its retention; whoever waits is told all the same."""
    async with opened(file) as kept:
        await keep(kept, final(1, speaker="Speaker_00"))
        await revise(kept, update(7, "Speaker_01"))
        await revise(kept, update(1, "Speaker_01"), session="other")
        assert speakers(file) == [("Speaker_00", 1)]


async def test_a_result_that_waits_for_the_disk_is_revised_with_it(file: Path) -> None:
    """Both are written once it works again."""
    async with opened(file) as kept:
        with sqlite3.connect(file) as blocker:
            blocker.execute("BEGIN EXCLUSIVE")
            await keep(kept, final(1, speaker="Speaker_00"))
            await revise(kept, update(1, "Speaker_01"))
            kept.remember("s", Known(1))
            kept.remember("s", Known(2))
            await asyncio.to_thread(lambda: None)
            assert not kept.healthy
            assert sum(write.voices_of == "s" for write in kept._writer._unwritten) <= 1
    assert speakers(file) == [("Speaker_01", 2)]


async def test_voices_are_remembered(file: Path) -> None:
    """As they were last, for a session that goes on for it; none of one that never had any."""
    async with opened(file) as kept:
        for session in ("s", "silent"):
            kept.session_started(session, 0.0, "en", "", Resume("token", None))
        kept.remember("s", Known(1))
        kept.remember("s", Known(2, "model"))
        await keep(kept, final(1))
        found, silent = kept.earlier("s"), kept.earlier("silent")
    assert found is not None and found.heard == Known(2, "model")
    assert silent is not None and silent.heard == Known()


@pytest.mark.parametrize("names", [0, 2])
async def test_names_of_before_are_not_given_again(names: int, file: Path) -> None:
    """A file of a version that knew voices otherwise: what it knew is of no use, but so many names are taken."""
    file.parent.mkdir()
    voices = [{"name": f"Speaker_{n:02d}", "centroid": [1.0], "seconds": 2.0} for n in range(names)]
    with sqlite3.connect(file) as database:
        for schema in transcript_file._SCHEMAS[:3]:
            database.executescript(schema)
        database.execute(
            "INSERT INTO session (id, begun, voices) VALUES ('s', 0, ?)", (msgspec.json.encode(voices).decode(),)
        )
        database.execute("PRAGMA user_version = 3")
    async with opened(file) as kept:
        await keep(kept, final(1))
        found = kept.earlier("s")
    assert found is not None and found.heard == Known(names)
