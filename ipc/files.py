"""Files that are replaced as a whole: whatever happens meanwhile, what is there is the old one or the new one."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

_TRIES = 10
_BETWEEN_TRIES_S = 0.2
"""For a file that another program keeps from being replaced for a moment, as virus scanners do on Windows."""


class NewFile(NamedTuple):
    """mode: of the file; None keeps that of the one that is there, and else takes what the umask leaves."""

    path: Path
    data: bytes
    mode: int | None = None


def replace(path: Path, data: bytes) -> None:
    """What is no file, such as a pipe, is written to; what is write-protected is left. Raises OSError; what was there
    is untouched then."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
    else:
        _refuse_protected(path)
        replace_all([NewFile(path, data)])


def replace_all(files: Sequence[NewFile]) -> None:
    """None is put in its place before all are written beside it. Raises OSError."""
    with ExitStack() as leftovers:
        written = [_written_beside(file, leftovers) for file in files]
        for beside, target in written:
            _put(beside, target)


def probe(path: Path) -> None:
    """Whether `replace` may write there. Leaves nothing. Raises OSError."""
    if not path.exists() or path.is_file():
        _refuse_protected(path)
        beside = _beside(path.resolve())
        beside.touch(exist_ok=False)
        beside.unlink()


def _refuse_protected(path: Path) -> None:
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _written_beside(file: NewFile, leftovers: ExitStack) -> tuple[Path, Path]:
    """Where it is, and where it is to be. It is on the disk then."""
    target = file.path.resolve()  # a link stays one
    beside = _beside(target)
    leftovers.callback(beside.unlink, missing_ok=True)
    beside.touch(0o666 if file.mode is None else file.mode, exist_ok=False)  # before the first byte
    if file.mode is None and target.exists():
        shutil.copymode(target, beside)
    with beside.open("r+b") as out:
        out.write(file.data)
        out.flush()
        os.fsync(out.fileno())
    return beside, target


def _beside(target: Path) -> Path:
    return target.with_name(f".{secrets.token_hex(8)}.new")


def _put(beside: Path, target: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            beside.replace(target)
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(_BETWEEN_TRIES_S)
