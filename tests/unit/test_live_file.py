"""A file that grows while others look at it."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from wernicke_daemon.commands import live_file
from wernicke_daemon.commands.live_file import LiveFile
from wernicke_daemon.commands.outputs import BadOutput


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "live.txt"


def text(path: Path) -> str:
    return path.read_bytes().decode()


def test_the_open_text_is_the_last_line_and_has_no_end(path: Path) -> None:
    """It is replaced as it grows and shrinks; its final takes its place; at the end none is left."""
    file = LiveFile(path)
    assert text(path) == ""
    file.update("", "[00:00] 今日は春")
    file.update("", "[00:00] 今日は晴れです")
    assert text(path) == "[00:00] 今日は晴れです"
    file.update("", "[00:00] 今日は")
    assert text(path) == "[00:00] 今日は"
    file.update("[00:00] 今日は晴れ。\n", "[00:03] 明日")
    assert text(path) == "[00:00] 今日は晴れ。\n[00:03] 明日"
    file.close()
    assert text(path) == "[00:00] 今日は晴れ。\n"


@pytest.mark.parametrize("before", ["finals\n", "cut off"])
def test_what_was_there_stays(path: Path, before: str) -> None:
    """Lines are added to those of an earlier run, below what a killed one has left of its last line."""
    path.parent.mkdir()
    path.write_bytes(before.encode())
    file = LiveFile(path)
    file.update("", "open")
    file.update("final\n", "")
    assert text(path) == before.rstrip("\n") + "\nfinal\n"


def test_what_others_write_stays(path: Path) -> None:
    """A note below the open text is not cut off, and is no reason to say anything twice."""
    file = LiveFile(path)
    file.update("one\n", "tw")
    with path.open("a", encoding="utf-8", newline="") as out:
        out.write(" (a note)")
    file.update("", "two")
    file.update("two\n", "")
    assert text(path) == "one\ntw (a note)\ntwo\n"


def test_a_file_that_was_saved_or_removed_by_others_goes_on(path: Path) -> None:
    """An editor puts its own copy in the place; what comes then is added to that."""
    file = LiveFile(path)
    file.update("one\n", "tw")
    (path.parent / "copy").write_bytes(b"ONE\n")
    (path.parent / "copy").replace(path)
    file.update("two\n", "th")
    assert text(path) == "ONE\ntwo\nth"
    path.unlink()
    file.update("three\n", "")
    assert text(path) == "three\n"


def test_a_file_that_is_held_breaks_nothing_and_misses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on Windows while an editor has it open; said once, and made up for when it is free again."""
    file = LiveFile(path)
    file.update("", "on")
    with monkeypatch.context() as held:
        held.setattr(Path, "open", refused)
        file.update("one\n", "tw")
        file.update("two\n", "th")
        assert capsys.readouterr().err.count(f"{path} can't be written now (Permission denied)") == 1
    assert text(path) == "on"
    file.update("", "three")
    assert text(path) == "one\ntwo\nthree"


def test_at_the_end_it_waits_a_little_for_a_file_that_is_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it can't write even then is said."""
    file = LiveFile(path)
    file.update("one\n", "tw")
    sleeps: list[float] = []
    monkeypatch.setattr(live_file.time, "sleep", sleeps.append)
    with monkeypatch.context() as held:
        held.setattr(Path, "open", refused)
        with pytest.raises(BadOutput, match="can't be written: Permission denied"):
            file.close()
    assert 1.0 <= sum(sleeps) <= 3.0
    file.close()
    assert text(path) == "one\n"


def refused(*_: Any, **__: Any) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_path_that_can_not_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """Before anything was said."""
    with pytest.raises(BadOutput, match=f"{tmp_path.name} can't be written"):
        LiveFile(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
def test_a_full_disk_leaves_whole_characters_and_costs_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it is between the cut and the new text: what has not changed is there, and the text goes on from it."""
    import resource

    file = LiveFile(path)
    file.update("一\n", "今日は春")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len("一\n今日は".encode()), limits[1]))
    try:
        file.update("今日は晴れ。\n", "明日")  # 春 and 晴 begin with the same byte
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert text(path) == "一\n今日は" and "can't be written now" in capsys.readouterr().err
    file.update("", "明日は")
    assert text(path) == "一\n今日は晴れ。\n明日は"


def test_finals_can_be_read_at_any_moment(path: Path) -> None:
    """From when one was written it is there, whatever becomes of the text behind it."""
    file = LiveFile(path)
    done = threading.Event()
    finals = b""
    reads: list[tuple[bytes, bytes]] = []

    def read() -> None:
        while not done.is_set():
            written = finals
            reads.append((written, path.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    while len(reads) < 200:
        line = f"今日は{'機械学習' * (len(reads) % 5)}\n"
        for end in range(1, len(line), 2):
            file.update("", line[:end] + "🙂" * (end % 3))
        file.update(line, "")
        finals += line.encode()
    done.set()
    reader.join()
    assert path.read_bytes() == finals
    assert all(found.startswith(written) for written, found in reads)


def test_at_the_end_lines_get_the_names_of_then(path: Path) -> None:
    """Those of this run; what others wrote, changed or cannot be read stays, and so does what an earlier run wrote."""
    path.parent.mkdir()
    path.write_bytes(b"[00:00] A: hi\n\xff\n")
    file = LiveFile(path)
    file.update("[00:00] A: hi\n[00:01] B: yes\n", "")
    with path.open("ab") as out:
        out.write(b"a note\n")
    file.update("[00:02] B: no\n[00:03] B: gone\n", "open")
    path.write_bytes(path.read_bytes().replace(b"[00:03] B: gone", b"[00:03] Berta: gone"))
    file.revise(
        [
            ("[00:00] A: hi", "[00:00] C: hi"),
            ("[00:02] B: no", "[00:02] C: no"),
            ("[00:03] B: gone", "[00:03] C: gone"),
        ]
    )
    file.close()
    assert path.read_bytes().decode(errors="replace") == (
        "[00:00] A: hi\n\ufffd\n[00:00] C: hi\n[00:01] B: yes\na note\n[00:02] C: no\n[00:03] Berta: gone\n"
    )


def test_where_nothing_is_known_better_the_file_is_left(path: Path) -> None:
    """It is not written anew."""
    file = LiveFile(path)
    file.update("one\n", "")
    before = path.stat()
    file.revise([])
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
