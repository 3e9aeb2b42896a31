"""Who spoke, in transcripts on disk: put right by `wernicke name`, forgotten by `wernicke voices delete`."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from wernicke_daemon import cli
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.transcript_file import FILE_NAME


def final(*speakers: str | None) -> str:
    segments = [
        {"start": 0.0, "end": 1.0, "text": "はい", "speaker": who, "words": [{"word": "はい", "speaker": who}]}
        for who in speakers
    ]
    message = {
        "type": "final",
        "text": "Speaker_00",
        "segments": segments,
        "timestamp_range": {"start": 0.0, "end": 1.0},
    }
    return msgspec.json.encode(message).decode()


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Of a data directory with two sessions that go on one for the other, and a third."""
    (tmp_path / "mine.toml").write_text('[runtime]\ndata_dir = "there"\n', encoding="utf-8")
    (tmp_path / "there").mkdir()
    database = transcript_file.open_for_writing(tmp_path / "there" / FILE_NAME)
    with database:
        database.executemany(
            "INSERT INTO session (id, begun, started, continues) VALUES (?, ?, ?, ?)",
            [("aa01", 1.0, 1.0, None), ("bb02", 2.0, 2.0, "aa01"), ("cc03", 3.0, 3.0, None)],
        )
        database.executemany(
            "INSERT INTO result (session, sequence, kept, kind, message) VALUES (?, ?, 1.0, ?, ?)",
            [
                ("aa01", 1, "final", final("Speaker_00", "Speaker_01", None)),
                ("aa01", 2, "final", final("Speaker_01")),
                ("aa01", 3, "error", '{"type": "error"}'),
                ("bb02", 1, "final", final("Speaker_00")),
                ("cc03", 1, "final", final("Speaker_00")),
            ],
        )
    database.close()
    return ["--config", str(tmp_path / "mine.toml")]


def speakers(tmp_path: Path) -> dict[str, list[str | None]]:
    """By session, of segments and of words alike."""
    found: dict[str, list[str | None]] = {}
    for session, message in sqlite3.connect(tmp_path / "there" / FILE_NAME).execute(
        "SELECT session, message FROM result WHERE kind = 'final' ORDER BY session, sequence"
    ):
        for segment in msgspec.json.decode(message)["segments"]:
            assert segment["words"][0]["speaker"] == segment["speaker"]
            found.setdefault(session, []).append(segment["speaker"])
    return found


def test_a_speaker_gets_a_name(settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the whole meeting, and in no other; the text stays."""
    assert cli.main(["name", "bb", "Speaker_00", "田中", *settings]) == 0
    assert capsys.readouterr().out == "Speaker_00 is 田中 now, in 2 results.\n"
    assert speakers(tmp_path) == {
        "aa01": ["田中", "Speaker_01", None, "Speaker_01"],
        "bb02": ["田中"],
        "cc03": ["Speaker_00"],
    }
    assert cli.main(["export", "aa01", *settings]) == 0
    assert "田中: はい" in capsys.readouterr().out


def test_a_name_can_be_put_right_again(settings: list[str], tmp_path: Path) -> None:
    """Two speakers of one name are one from then on: it is said of the transcript, which knows no voices."""
    assert cli.main(["name", "aa01", "Speaker_00", "田中", *settings]) == 0
    assert cli.main(["name", "aa01", "田中", "佐藤", *settings]) == 0
    assert cli.main(["name", "aa01", "Speaker_01", "佐藤", *settings]) == 0
    assert speakers(tmp_path)["aa01"] == ["佐藤", "佐藤", None, "佐藤"]


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (("aa01", "Speaker_07", "田中"), "no speaker 'Speaker_07' in it; there are: Speaker_00, Speaker_01."),
        (("dd", "Speaker_00", "田中"), "no session dd"),
        (("aa01", "Speaker_00", "a\nb"), "control characters"),
        (("aa01", "Speaker_00", "Speaker_01"), "choose another name"),
    ],
)
def test_what_can_not_be(
    asked: tuple[str, str, str], word: str, settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is changed then."""
    before = speakers(tmp_path)
    assert cli.main(["name", *asked, *settings]) != 0
    assert word in capsys.readouterr().err
    assert speakers(tmp_path) == before


def test_who_is_forgotten_has_left_no_print(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In sessions that are over; what is going on goes on, others' sessions and texts stay."""
    path = tmp_path / "there" / FILE_NAME
    daemon = sqlite3.connect(path)
    known = {"given": {"Speaker_00": "田中"}, "recognised": {"Speaker_01": "佐藤"}, "rows": ["of the voices"]}
    with daemon:
        for session, ended in (("aa01", 5.0), ("bb02", None), ("cc03", 5.0)):
            voices = msgspec.json.encode(known if session != "cc03" else known | {"given": {}}).decode()
            daemon.execute("UPDATE session SET voices = ?, ended = ? WHERE id = ?", (voices, ended, session))
    assert cli.main(["voices", "delete", "田中", *settings]) == 0
    left = "SELECT id FROM session WHERE voices IS NOT NULL ORDER BY id"
    assert daemon.execute(left).fetchall() == [("bb02",), ("cc03",)]
    assert cli.main(["voices", "delete", "佐藤", *settings]) == 0
    assert daemon.execute(left).fetchall() == [("bb02",)]
    assert cli.main(["voices", "delete", "佐藤", *settings]) != 0
    assert "There is no voice" in capsys.readouterr().err
    assert speakers(tmp_path)["cc03"] == ["Speaker_00"]
    daemon.close()
