"""The daemon's log with its older files, compressed or not, line by line; never more than one line in memory."""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ipc.errors import WernickeError
from wernicke_daemon.tuning import lines
from wernicke_daemon.tuning.summary import Summary

LONGEST_LINE = 1024 * 1024
"""Bytes; a longer one is passed over. The daemon's own have some hundred, with a traceback some thousand."""
TELL_EVERY = 2000
"""Lines between two calls that tell how far it is."""
SLACK_S = 60.0
"""A file's last change may be told so much too early, by file systems and clocks; lines be so much out of order."""
SEEK_BYTES = 256 * 1024
"""Less is read rather than searched."""

_OPENED: dict[str, Callable[[BinaryIO], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)


class NoLog(WernickeError):
    """There is nothing to read."""

    code = "NO_LOG"


class Found(NamedTuple):
    """summary: of all lines. files: that were read. problems: sentences about what could not be."""

    summary: Summary
    files: list[Path]
    problems: list[str]


def of_log(log: Path) -> list[Path]:
    """It and its older files, oldest first: `wernicke.jsonl.2.gz`, `wernicke.jsonl-20260101.xz` and the like. Raises
    NoLog where there is none."""
    older = re.compile(rf"{re.escape(log.name)}([.-].*)?")
    files = [path for path in _beside(log) if older.fullmatch(path.name) and path.is_file()]
    if not files:
        raise NoLog(f"There is no log at {log}; name its files, or the daemon's settings with --config.")
    return sorted(files, key=_written)


def _written(file: Path) -> float:
    """When it last was, seconds since 1970. The log is rotated meanwhile: one that is gone was the oldest."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _beside(log: Path) -> list[Path]:
    return list(log.parent.iterdir()) if log.parent.is_dir() else []


def size(files: Iterable[Path]) -> int:
    """Bytes on disk."""
    return sum(path.stat().st_size for path in files if path.exists())


def summarised(files: Iterable[Path], since: float = 0.0, told: Callable[[int], None] = lambda size: None) -> Found:
    """What is in these files, written since then (seconds since 1970). told: gets bytes that are done with, on disk."""
    found = Found(Summary(), [], [])
    for path in files:
        try:
            _take(path, since, told, found)
        except _DAMAGED as error:
            why = getattr(error, "strerror", None) or error or type(error).__name__
            found.problems.append(f"{path} can't be read to its end ({why}); what is before that counts.")
    return found


def _take(path: Path, since: float, told: Callable[[int], None], found: Found) -> None:
    status = path.stat()
    if status.st_mtime + SLACK_S < since:
        told(status.st_size)
        return
    found.files.append(path)
    with path.open("rb") as file:
        if path.suffix in _OPENED:
            opened = _OPENED[path.suffix](file)
        else:
            opened = file
            _go_to(file, written_from(file, status.st_size, since))
        done = 0
        for number, line in enumerate(_lines(opened)):
            found.summary.take("malformed" if line is None else lines.read(line, since))
            if number % TELL_EVERY == 0:
                told(file.tell() - done)
                done = file.tell()
    told(status.st_size - done)


def written_from(file: BinaryIO, size: int, since: float) -> int:
    """Where in a log, whose lines are in order of time, to begin so as to miss none written since then: a place that is
    rather too early than too late. Found by halving; what has no time is passed over."""
    low, high = 0, size
    while since and high - low > SEEK_BYTES:
        middle = (low + high) // 2
        _go_to(file, middle)
        at = next((at for line in islice(_lines(file), 100) if line and (at := lines.time_of(line)) is not None), None)
        low, high = (middle, high) if at is not None and at < since - SLACK_S else (low, middle)
    return low


def _go_to(file: BinaryIO, place: int) -> None:
    """To the first line that begins after it; at 0 to the first of all."""
    file.seek(place)
    if place:
        _finish_line(file)


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """None for one that is too long."""
    while line := file.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith(b"\n"):
            if line.strip():
                yield line
        else:
            _finish_line(file)
            yield None


def _finish_line(file: BinaryIO) -> None:
    """However long it is."""
    while (part := file.readline(LONGEST_LINE)) and not part.endswith(b"\n"):
        pass
