"""Files that are replaced as a whole."""

import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipc import files
from ipc.files import NewFile

posix = pytest.mark.skipif(sys.platform == "win32", reason="what Windows does not have")


@contextmanager
def full_disk(at_most: int) -> Iterator[None]:
    """No file can be longer than that many bytes."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    """Nothing else is left in its directory."""
    path = tmp_path / "会議 🎧.srt"
    for data in (b"one", b"two"):
        files.replace(path, data)
        assert path.read_bytes() == data
    assert names(tmp_path) == [path.name]


@posix
def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """And nothing beside it."""
    path = tmp_path / "x.srt"
    path.write_bytes(b"good")
    with full_disk(100), pytest.raises(OSError, match="File too large"):
        files.replace(path, bytes(1000))
    assert path.read_bytes() == b"good" and names(tmp_path) == ["x.srt"]


@posix
def test_of_several_files_none_is_replaced_where_one_can_not_be_written(tmp_path: Path) -> None:
    """A certificate without its key is of no use."""
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first, second):
        path.write_bytes(b"old")
    with full_disk(100), pytest.raises(OSError, match="File too large"):
        files.replace_all([NewFile(first, b"new"), NewFile(second, bytes(1000))])
    assert [first.read_bytes(), second.read_bytes()] == [b"old", b"old"] and names(tmp_path) == ["a", "b"]


@posix
def test_a_link_stays_one_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    """A new file has what the umask leaves, or the mode that was asked for."""
    path, link = tmp_path / "x.srt", tmp_path / "link.srt"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    files.replace(link, b"new")
    assert link.is_symlink() and path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    files.replace(tmp_path / "y", b"")
    (tmp_path / "z").touch()
    assert (tmp_path / "y").stat().st_mode == (tmp_path / "z").stat().st_mode
    files.replace_all([NewFile(tmp_path / "y", b"", 0o600)])
    assert stat.S_IMODE((tmp_path / "y").stat().st_mode) == 0o600


@posix
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """It is not replaced by a file."""
    pipe = tmp_path / "x.srt"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    files.probe(pipe)
    files.replace(pipe, b"text")
    reader.join()
    assert read == [b"text"] and pipe.is_fifo()


def test_a_private_folder_is_plain_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its mode would be a protected access list, no mode is asked for."""
    asked: list[int] = []
    monkeypatch.setattr(Path, "mkdir", lambda path, mode, **options: asked.append(mode))
    for platform in ("win32", "linux"):
        monkeypatch.setattr(files.sys, "platform", platform)
        files.make_private(tmp_path / "x")
    assert asked == [0o777, 0o700]


def held() -> PermissionError:
    """What Windows says of a file that another program has open."""
    error = PermissionError(13, "The process cannot access the file because it is being used by another process")
    error.winerror = 32  # type: ignore[attr-defined,unused-ignore]
    return error


def test_what_another_program_really_holds_is_waited_for(tmp_path: Path) -> None:
    """Open files can be replaced and deleted everywhere but on Windows."""
    path = tmp_path / "x.srt"
    path.write_bytes(b"old")
    reader = path.open("rb")
    threading.Timer(0.3, reader.close).start()
    files.replace(path, b"new")
    assert path.read_bytes() == b"new" and names(tmp_path) == ["x.srt"]


def test_other_errors_are_raised_at_once() -> None:
    called = []

    def act() -> None:
        called.append(1)
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        files.patiently(act)
    assert called == [1]


def test_what_is_held_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows by a virus scanner; what stays held is refused, and left."""
    path = tmp_path / "x.srt"
    path.write_bytes(b"old")
    real, refusals = Path.replace, [3]

    def replace(self: Path, target: Path) -> Path:
        if refusals[0]:
            refusals[0] -= 1
            raise held()
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    refusals[0] = 1000
    monkeypatch.setattr(files, "PATIENCE_S", 0.05)
    with pytest.raises(PermissionError):
        files.replace(path, b"newer")
    assert path.read_bytes() == b"new" and names(tmp_path) == ["x.srt"]


def test_a_directory_that_takes_no_files_is_found_before(tmp_path: Path) -> None:
    """The probe leaves nothing where it may write."""
    files.probe(tmp_path / "x.srt")
    assert names(tmp_path) == []
    with pytest.raises(OSError):
        files.probe(tmp_path / "missing" / "x.srt")


@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="nothing is protected from root")
def test_what_is_protected_is_left(tmp_path: Path) -> None:
    """Found by the probe, too."""
    path = tmp_path / "x.srt"
    path.write_bytes(b"mine")
    path.chmod(0o444)
    for attempt in (lambda: files.probe(path), lambda: files.replace(path, b"")):
        with pytest.raises(PermissionError):
            attempt()
    assert path.read_bytes() == b"mine"
    path.chmod(0o644)
