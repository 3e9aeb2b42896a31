"""What was said is found again: new and old, in any script, and never what is deleted."""

import contextlib
import sqlite3
from pathlib import Path

import msgspec
import pytest
import structlog

from tests.unit.store.kept import Clocks, Deliveries, final, keep, opened
from tests.waiting import eventually
from wernicke_daemon.records import search_index, transcript_file
from wernicke_daemon.records.folding import fold, marks
from wernicke_daemon.records.retention import DAY_S
from wernicke_daemon.records.search import BadSearch, Found, search
from wernicke_daemon.records.transcript_file import NoTranscript
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import SegmentSpeaker, SpeakerUpdate

TEXTS = [
    "来年度の予算について話します。",
    "ＡＢＣ社のｶﾞｽ料金",
    "Straße and café, naïve",
    "予算は5％増です。",
    "会議を終わります会議",
]


def found(file: Path, query: str) -> list[int]:
    return [hit.sequence for hit in search(file, query).hits]


async def indexed(file: Path) -> None:
    """Until the index has everything."""

    def complete() -> bool:
        with contextlib.closing(sqlite3.connect(file)) as transcripts, contextlib.suppress(NoTranscript, sqlite3.Error):
            last = transcripts.execute("SELECT max(number) FROM change").fetchone()[0] or 0
            with transcript_file.reading(file.with_name(search_index.FILE_NAME)) as index:
                return index.execute("SELECT taken, below FROM progress").fetchone() == (last, 0)
        return False

    await eventually(complete)


@pytest.mark.parametrize(
    ("query", "sequences"),
    [
        ("予算について", [1]),
        ("予算", [4, 1]),
        ("会", [5]),
        ("会議", [5]),
        ("す。", [4, 1]),
        ("abc社のガス", [2]),
        ("STRASSE", [3]),
        ("café", [3]),
        ("予算 話", [1]),
        ("予算 5% 増", [4]),
        ('"and café"', [3]),
        ('"and naïve"', []),
        ("決算", []),
        ("%", [4]),
        ('a"b', [2]),
        ("NEAR(会議 予算)", []),
    ],
)
async def test_what_was_said_is_found(query: str, sequences: list[int], file: Path) -> None:
    """Of any length, in any width and case, all terms in one result; the latest first. No sign is an operator."""
    async with opened(file) as kept:
        await keep(kept, *(final(number, text) for number, text in enumerate(TEXTS, start=1)))
        await indexed(file)
        assert found(file, query) == sequences


async def test_a_result_that_can_not_be_read_keeps_no_other_from_being_found(file: Path) -> None:
    """It is told once, and the index goes on."""
    async with opened(file) as kept:
        await keep(kept, *(final(number, text) for number, text in enumerate(TEXTS, start=1)))
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        for sequence, message in ((1, '{"segments": [{"text": 5}]}'), (2, "{")):
            database.execute("UPDATE result SET message = ? WHERE sequence = ?", (message, sequence))
    file.with_name(search_index.FILE_NAME).unlink()
    with structlog.testing.capture_logs() as logs:
        async with opened(file):
            await indexed(file)
            assert found(file, "予算は") == [4]
            assert [hit.before for hit in search(file, "café").hits] == [[]]
    events = [line["event"] for line in logs]
    assert events.count("result_unreadable") == 2 and "search_index_failed" not in events


async def test_a_frequent_short_term_is_found_by_looking(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more ways to go on than are asked for: the latest first all the same, and beside a longer term."""
    monkeypatch.setattr("wernicke_daemon.records.search._MOST_TRIGRAMS", 3)
    async with opened(file) as kept:
        await keep(kept, *(final(number, f"の{letter * 2}です") for number, letter in enumerate("あいうえお", start=1)))
        await indexed(file)
        assert found(file, "の") == [5, 4, 3, 2, 1]
        assert found(file, "の いいで") == [2]


async def test_a_hit_has_its_surroundings(file: Path) -> None:
    """Times in the session, speakers, where the words stand, and what was said before and after."""
    async with opened(file) as kept:
        await keep(kept, *(final(number, text, "田中") for number, text in enumerate(TEXTS, start=1)))
        await indexed(file)
        [hit] = search(file, "ガス").hits
    assert (hit.session, hit.sequence, hit.wall_start) == ("s", 2, "2026-01-01T03:00:12.480Z")
    [line] = hit.lines
    assert (line.start, line.end, line.speaker, line.text) == (2.0, 3.0, "田中", TEXTS[1])
    assert [line.text[start:end] for start, end in line.marks] == ["ｶﾞｽ"]
    assert ([one.text for one in hit.before], [one.text for one in hit.after]) == ([TEXTS[0]], [TEXTS[2]])


async def test_pages_follow_each_other(file: Path) -> None:
    """Each hit once, and an end."""
    async with opened(file) as kept:
        await keep(kept, *(final(number, "予算の話") for number in range(1, 6)))
        await indexed(file)
        page, seen = search(file, "予算の", 2), []
        while True:
            seen.append([hit.sequence for hit in page.hits])
            if page.next is None:
                break
            page = search(file, "予算の", 2, page.next)
    assert seen == [[5, 4], [3, 2], [1]]


async def test_what_changes_is_found_as_it_is_by_then(file: Path) -> None:
    """A text that came late, a speaker who is known later, and what is over its retention, from which nothing is left
    in the index."""
    clocks = Clocks()
    async with opened(file, 30, clocks) as kept:
        late, deliveries = protocol.error(protocol.LATE, "later", sequence=1), Deliveries()
        kept.keep("s", 1, late, deliveries.of(1))
        await deliveries.all_of(1)
        await indexed(file)
        assert found(file, "予算の話") == []
        await keep(kept, final(1, "予算の話", "Speaker_00"))
        kept.revise("s", SpeakerUpdate("s", "buff_1", 1, 2, [SegmentSpeaker(0, "田中")]), deliveries.of(2))
        await deliveries.all_of(2)
        await indexed(file)
        assert [hit.lines[0].speaker for hit in search(file, "予算の話").hits] == ["田中"]
        clocks.run(31 * DAY_S)
        kept.purge()
        await keep(kept, final(2))
        await indexed(file)
        assert found(file, "予算の話") == []
    with transcript_file.reading(file.with_name(search_index.FILE_NAME)) as index:
        assert index.execute("SELECT trim(text) FROM passage").fetchall() == [("text",)]


async def test_nothing_is_found_that_is_not_there_any_more(file: Path) -> None:
    """However far the index has come: what a hit shows is in the transcripts."""
    async with opened(file) as kept:
        await keep(kept, *(final(number, "予算の話") for number in (1, 2, 3)))
        await indexed(file)
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("DELETE FROM result WHERE sequence = 1")
        database.execute("UPDATE result SET message = replace(message, '予算', '決算') WHERE sequence = 2")
    assert found(file, "予算の") == [3]


async def test_what_is_deleted_is_gone_from_the_indexs_files(file: Path) -> None:
    """While the daemon runs: neither the file nor what SQLite keeps beside it has a word of it."""

    def holds(text: str) -> bool:
        files = file.parent.glob(f"{search_index.FILE_NAME}*")
        return any(text.encode() in each.read_bytes() for each in files)

    async with opened(file) as kept:
        await keep(kept, final(1, "passphrase"), final(2, "weather"))
        await indexed(file)
        assert holds("passphrase")
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute("DELETE FROM result WHERE sequence = 1")
        await keep(kept, final(3))
        await eventually(lambda: not holds("passphrase"))
        assert found(file, "weather") == [2]


async def test_transcripts_of_before_are_taken_in_beside_what_comes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An existing store gets its index in steps, from the latest on; until then a search says that it is not
    complete."""
    async with opened(file) as kept:
        await keep(kept, *(final(number, f"古い話 {number}") for number in range(1, 8)))
    for name in file.parent.glob(f"{search_index.FILE_NAME}*"):
        name.unlink()
    monkeypatch.setattr(search_index, "RESULTS_A_STEP", 2)
    monkeypatch.setattr(search_index, "REST_S", 3600.0)
    with structlog.testing.capture_logs() as lines:
        async with opened(file) as kept:
            await keep(kept, final(8, "新しい話"))
            await eventually(lambda: file.with_name(search_index.FILE_NAME).exists() and not _complete(file))
            await eventually(lambda: found(file, "い話") != [])
            monkeypatch.setattr(search_index, "REST_S", 0.0)
            await keep(kept, final(9, "もっと新しい話"))
            await indexed(file)
            assert found(file, "い話") == [9, 8, 7, 6, 5, 4, 3, 2, 1]
            assert search(file, "い話").complete
    assert [line["event"] for line in lines] == ["search_index_behind", "search_index_complete"]


async def test_what_comes_while_the_index_is_begun_is_in_it(file: Path) -> None:
    """Before each look at the transcripts there is one more."""
    async with opened(file):
        pass
    kept: list[int] = []
    with contextlib.closing(sqlite3.connect(file)) as writer, contextlib.closing(sqlite3.connect(file)) as reader:

        def keep_one(statement: str) -> None:
            kept.append(len(kept) + 1)
            message = protocol.encode(final(kept[-1], "会議です"))
            with writer:
                writer.execute(transcript_file.KEEP_RESULT, ("s", kept[-1], 0.0, "final", message))

        index = search_index.SearchIndex(file.with_name("begun.db"))
        reader.set_trace_callback(keep_one)
        index.step(reader)
        reader.set_trace_callback(None)
        while index.step(reader) is not None:
            pass
        index.close()
    with contextlib.closing(sqlite3.connect(file.with_name("begun.db"))) as begun:
        assert [row for (row,) in begun.execute("SELECT rowid FROM passage ORDER BY rowid")] == kept


def _complete(file: Path) -> bool:
    with contextlib.suppress(NoTranscript):
        return search(file, "い話").complete
    return True


@pytest.mark.parametrize("damage", ["garbage", "of other transcripts"])
async def test_an_index_that_is_no_good_is_made_anew(
    damage: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results are kept meanwhile, and nobody is told of an outage."""
    monkeypatch.setattr(search_index, "RETRY_EVERY_S", 0.02)
    index = file.with_name(search_index.FILE_NAME)
    async with opened(file) as kept:
        await keep(kept, final(1, "予算の話"))
        await indexed(file)
    if damage == "garbage":
        index.write_bytes(b"garbage" * 1000)
    else:
        with contextlib.closing(sqlite3.connect(index)) as database, database:
            database.execute("UPDATE progress SET origin = 'another'")
            database.execute("DELETE FROM passage")
    async with opened(file) as kept:
        await keep(kept, final(2, "予算の話、再び"))
        assert kept.healthy
        await eventually(lambda: _found_both(file))


def _found_both(file: Path) -> bool:
    with contextlib.suppress(NoTranscript):
        return found(file, "予算の話") == [2, 1]
    return False


async def test_damage_that_shows_in_the_midst_is_no_outage(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken pages of the index while the daemon runs."""
    monkeypatch.setattr(search_index, "RETRY_EVERY_S", 0.02)
    async with opened(file) as kept:
        await keep(kept, final(1, "予算の話"))
        await indexed(file)
        with contextlib.closing(sqlite3.connect(file.with_name(search_index.FILE_NAME))) as database, database:
            database.execute("UPDATE passage_data SET block = x'ff00ff' WHERE id > 1")
            database.execute("DELETE FROM passage_content")
        with structlog.testing.capture_logs() as lines:
            await keep(kept, final(2, "予算の話、再び"))
            await eventually(lambda: _found_both(file))
        assert kept.healthy
    assert ("search_index_failed", True) in [(line["event"], line.get("begun_anew")) for line in lines]


async def test_the_list_of_changes_stays_short(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are taken over only so many are kept."""
    monkeypatch.setattr(search_index, "KEPT_CHANGES", 10)
    async with opened(file) as kept:
        for number in range(1, 40):
            await keep(kept, final(number))
        await indexed(file)
        await eventually(lambda: _changes(file) <= 20)


def _changes(file: Path) -> int:
    with transcript_file.reading(file) as database:
        return int(database.execute("SELECT count(*) FROM change").fetchone()[0])


@pytest.mark.parametrize(("query", "sentence"), [("  ", "Say what"), ('"', "Say what"), ("あ" * 201, "200 characters")])
async def test_what_can_not_be_searched_is_a_sentence(query: str, sentence: str, file: Path) -> None:
    """Before anything is looked at."""
    with pytest.raises(BadSearch, match=sentence):
        search(file, query)


async def test_a_search_without_an_index_is_a_sentence(file: Path) -> None:
    """As before a daemon has run that makes one."""
    transcript_file.open_for_writing(_made(file)).close()
    with pytest.raises(NoTranscript, match="There is no search index yet"):
        search(file, "予算")


def _made(file: Path) -> Path:
    file.parent.mkdir()
    return file


@pytest.mark.parametrize(
    ("text", "term", "marked"),
    [
        ("Ｗernicke の 会議", "wernicke", ["Ｗernicke"]),
        ("ｶﾞｷﾞ", "ギ", ["ｷﾞ"]),
        ("a  b", "a b", ["a  b"]),
        ("ﬁne", "f", ["ﬁ"]),
        ("か\u3099く", "が", ["か\u3099"]),
        ("aaa", "a", ["aaa"]),
        ("İstanbul", "stan", ["stan"]),
        ("\0x", "x", ["x"]),
    ],
)
def test_marks_are_of_the_text_as_it_is(text: str, term: str, marked: list[str]) -> None:
    """Whatever folding does to its letters."""
    assert [text[start:end] for start, end in marks(text, [fold(term)])] == marked


def test_results_can_be_encoded() -> None:
    """For programs."""
    assert msgspec.json.encode(Found([], None, True)) == b'{"hits":[],"next":null,"complete":true}'
