"""A result that is damaged on disk keeps no other from being read, named or revised."""

import contextlib
import sqlite3
from pathlib import Path

from tests.unit.store.kept import Deliveries, final, keep, opened, results
from wernicke_daemon.records import reading, session_list, stored_speakers, transcript_file
from wernicke_daemon.wire.protocol import SegmentSpeaker, SpeakerUpdate


async def test_it_is_passed_over(file: Path) -> None:
    """Whether it is no JSON, or no message."""
    async with opened(file) as kept:
        await keep(kept, *(final(number, f"text {number}", "Speaker_00") for number in range(1, 5)))
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        for sequence, message in ((1, "{"), (3, '"text"')):
            database.execute("UPDATE result SET message = ? WHERE sequence = ?", (message, sequence))
    with transcript_file.reading(file) as database:
        (listed,) = session_list.sessions(database)
        read = reading.transcript(database, "s")
    assert listed.results == 2
    assert ([turn.text for turn in read.turns], read.failed) == (["text 2", "text 4"], 2)
    assert [result["text"] for result in results(file)] == ["text 2", "text 4"]
    assert stored_speakers.rename(file, ["s"], "Speaker_00", "田中") == 2
    async with opened(file) as kept:
        delivered = Deliveries()
        for sequence in (1, 2):
            update = SpeakerUpdate("s", "b", sequence, 9, [SegmentSpeaker(0, "佐藤")])
            kept.revise("s", update, delivered.of(sequence))
        await delivered.all_of(2)
        assert kept.healthy
    with transcript_file.reading(file) as database:
        assert [turn.speaker for turn in reading.transcript(database, "s").turns] == ["佐藤", "田中"]
