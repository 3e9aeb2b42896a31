"""`wernicke sessions` and `wernicke export` on a file that the store has written."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from wernicke_daemon import cli
from wernicke_daemon.records import transcript_file

ROOT = Path(__file__).parents[2]

Row = tuple[str, str, str | None, float, str | None]

ROWS: dict[str, list[Row]] = {
    "a1b2c3": [
        ("final", "今日は。", "Speaker_00", 1.0, "ja"),
        ("error", "", None, 0.0, None),
        ("final", "はい。", "Speaker_01", 9.5, "ja"),
    ],
    "a1ffff": [("suppressed", "", None, 0.0, None)],
    "b00000": [("final", "good morning", None, 3.0, "en")],
}
"""By session, in order of time: kind, text, speaker, start, language."""


def message(sequence: int, row: Row) -> str:
    kind, text, speaker, start, language = row
    if kind != "final":
        return json.dumps({"type": kind, "sequence": sequence})
    segment = {"start": 0.0, "end": 1.5, "text": text, "speaker": speaker}
    place = {"start": start, "end": start + 2}
    return json.dumps(
        {"type": kind, "sequence": sequence, "language": language, "timestamp_range": place, "segments": [segment]}
    )


BEGIN = "INSERT INTO session (id, begun, ended, language, peer, started) VALUES"


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Options that name settings whose data directory has a file of transcripts without any session."""
    file = tmp_path / "mine.toml"
    file.write_text('[runtime]\ndata_dir = "there"\n', encoding="utf-8")
    (tmp_path / "there").mkdir()
    transcript_file.open_for_writing(tmp_path / "there" / transcript_file.FILE_NAME).close()
    return ["--config", str(file)]


@pytest.fixture
def writer(settings: list[str], tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A daemon's connection to that file, open as long as the test, with all ROWS committed."""
    with contextlib.closing(
        transcript_file.open_for_writing(tmp_path / "there" / transcript_file.FILE_NAME)
    ) as database:
        with database:
            for number, (session, rows) in enumerate(ROWS.items()):
                begun = 1_700_000_000.0 + 3600 * number
                row = (session, begun, begun + 3725, "ja", "", begun)
                database.execute(
                    "INSERT INTO session (id, begun, ended, language, peer, started) VALUES (?, ?, ?, ?, ?, ?)", row
                )
                for sequence, row in enumerate(rows, start=1):
                    result = (session, sequence, begun, row[0], message(sequence, row))
                    database.execute(
                        "INSERT INTO result (session, sequence, kept, kind, message) VALUES (?, ?, ?, ?, ?)", result
                    )
        yield database


@pytest.fixture
def filled(writer: sqlite3.Connection, settings: list[str]) -> list[str]:
    """Those options; the daemon that wrote the file has ended."""
    writer.close()
    return settings


@pytest.mark.parametrize("command", ["sessions", "export"])
def test_both_commands_explain_themselves(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows the options and ends with 0."""
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert "--config" in capsys.readouterr().out


def test_sessions_are_listed_by_time(
    filled: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row each, the latest last: id, begin, length, results, language, voices; whole on any terminal."""
    monkeypatch.setenv("COLUMNS", "20")
    assert cli.main(["sessions", *filled]) == 0
    heading, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading == ["session", "begun", "length", "results", "language", "voices", "continues"]
    # The begin is in local time: a date and a time of day.
    assert [[row[0], *row[3:]] for row in rows] == [
        ["a1b2c3", "1:02:05", "2", "ja", "2"],
        ["a1ffff", "1:02:05", "0", "ja", "0"],
        ["b00000", "1:02:05", "1", "en", "0"],
    ]


def test_sessions_for_programs(filled: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """--json: the same facts, with the begin in UTC and the length in seconds."""
    assert cli.main(["sessions", "--json", *filled]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [session["id"] for session in listed] == list(ROWS)
    assert listed[0] == {
        "id": "a1b2c3",
        "begun": "2023-11-14T22:13:20.000Z",
        "length_s": 3725.0,
        "results": 2,
        "language": "ja",
        "speakers": ["Speaker_00", "Speaker_01"],
        "first_words": "今日は。",
        "continues": None,
    }


@pytest.mark.parametrize("session", ["a1b2c3", "a1b"])
def test_export_shows_the_text(session: str, filled: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without -o on stdout, and on stderr how much is missing; the beginning of the id is enough."""
    assert cli.main(["export", session, *filled]) == 0
    shown = capsys.readouterr()
    assert shown.out == "[00:01] Speaker_00: 今日は。\n[00:09] Speaker_01: はい。\n"
    assert shown.err == "error: 1 of the utterances could not be transcribed; they are left out.\n"


def test_last_is_the_latest(filled: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The session that began last."""
    assert cli.main(["export", "last", *filled]) == 0
    assert capsys.readouterr().out == "[00:03] good morning\n"


@pytest.mark.parametrize(
    ("ending", "beginning"), [("srt", "1\n00:00:01,000 -->"), ("vtt", "WEBVTT\n"), ("txt", "[00:01] "), ("json", "[\n")]
)
def test_the_file_name_says_the_format(
    ending: str, beginning: str, filled: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """-o x.srt is SubRip, and so on; nothing is printed then."""
    output = tmp_path / f"x.{ending}"
    assert cli.main(["export", "a1b2c3", "-o", str(output), *filled]) == 0
    assert output.read_text(encoding="utf-8").startswith(beginning)
    assert capsys.readouterr().out == ""


def test_json_holds_the_finals_and_nothing_else(filled: list[str], tmp_path: Path) -> None:
    """As the client got them."""
    output = tmp_path / "x.json"
    assert cli.main(["export", "a1b2c3", "-o", str(output), *filled]) == 0
    finals = msgspec.json.decode(output.read_bytes())
    assert [(final["type"], final["sequence"]) for final in finals] == [("final", 1), ("final", 3)]


def test_both_work_while_the_daemon_writes(
    writer: sqlite3.Connection, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is committed is seen, in the middle of another write, which is not."""
    writer.execute("DELETE FROM result")
    assert cli.main(["export", "a1b2c3", *settings]) == 0
    assert "はい。" in capsys.readouterr().out
    writer.rollback()


@pytest.mark.parametrize(
    ("session", "code", "sentence"),
    [
        ("zzz", 6, "error: There is no session zzz; `wernicke sessions` lists them.\n"),
        ("a1", 6, "error: More than one session begins with a1; give more of its id.\n"),
        ("a1ffff", 7, "error: Session a1ffff has no text.\n"),
    ],
)
def test_a_session_that_cannot_be_had_is_one_sentence(
    session: str, code: int, sentence: str, filled: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Unknown, ambiguous, silent: exit code 6 or 7, and nothing on stdout."""
    assert cli.main(["export", session, *filled]) == code
    assert capsys.readouterr() == ("", sentence)


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe breaks in another way there")
def test_a_reader_that_has_had_enough_is_no_failure(filled: list[str]) -> None:
    """As with `| head`, also where all of it fits into the buffer, which is written at the very end."""
    reading, writing = os.pipe()
    os.close(reading)
    script = "import sys; from wernicke_daemon import cli; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "sessions", *filled]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    child = subprocess.run(command, cwd=ROOT, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (child.returncode, child.stderr) == (0, "")


def test_a_whole_id_wins_over_longer_ones(
    writer: sqlite3.Connection, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not ambiguous, whatever begins with it."""
    with writer:
        writer.execute(
            "INSERT INTO session (id, begun, ended, language, peer, started) VALUES ('a1b2c3d4', 0, 1, 'ja', '', 0)"
        )
    assert cli.main(["export", "a1b2c3", *settings]) == 0
    assert "今日は。" in capsys.readouterr().out


def test_an_empty_store_says_so(settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No session yet is no error for a list, and one for an export."""
    assert cli.main(["sessions", *settings]) == 0
    assert "There are no sessions in " in capsys.readouterr().out
    assert cli.main(["sessions", "--json", *settings]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert cli.main(["export", "last", *settings]) == 6


@pytest.mark.parametrize("command", [["sessions"], ["export", "last"]])
def test_no_store_says_how_one_comes_to_be(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the daemon has kept nothing, the path and the setting are named, and no file is made."""
    file = tmp_path / "mine.toml"
    file.write_text('[runtime]\ndata_dir = "there"\n', encoding="utf-8")
    assert cli.main([*command, "--config", str(file)]) == 6
    said = capsys.readouterr().err
    assert transcript_file.FILE_NAME in said and "store.enabled" in said and said.count("\n") == 1
    assert not (tmp_path / "there").exists()


def test_a_file_that_cannot_be_read_is_one_sentence(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and the file is left as it is."""
    file = tmp_path / "there" / transcript_file.FILE_NAME
    file.write_bytes(b"garbage" * 1000)
    assert cli.main(["sessions", *settings]) == 6
    said = capsys.readouterr().err
    assert "can't be read (file is not a database): " in said and said.count("\n") == 1
    assert file.read_bytes() == b"garbage" * 1000


@pytest.mark.parametrize(
    ("output", "sentence"),
    [("x.doc", "should end in .txt, .srt, .vtt, .md, .json, .docx"), ("no/x.srt", "does not exist")],
)
def test_a_bad_output_is_a_usage_error(
    output: str, sentence: str, filled: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with what would be right."""
    assert cli.main(["export", "last", "-o", str(tmp_path / output), *filled]) == 2
    assert sentence in capsys.readouterr().err


def test_a_bad_config_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for every command that reads it."""
    assert cli.main(["sessions", "--config", str(tmp_path / "none.toml")]) == 2
    assert "there is no such file" in capsys.readouterr().err
