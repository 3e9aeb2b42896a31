"""Files that are replaced as a whole: whatever happens meanwhile, what is there is the old one or the new one. And
patience with files that other programs hold, as virus scanners and indexers on Windows do with those just written."""

import errno
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from ipc import clock

T = TypeVar("T")

PATIENCE_S = 1.0
_BETWEEN_TRIES_S = 0.02
"""Scanners are done with a small file within milliseconds, on a busy machine within some hundred."""

_HELD = (5, 32, 33, 145)
"""ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION; and ERROR_DIR_NOT_EMPTY, of a folder whose
deleted files somebody still reads (Microsoft's System Error Codes, 0-499)."""


class NewFile(NamedTuple):
    """mode: of the file; None keeps that of the one that is there, and else takes what the umask leaves."""

    path: Path
    data: bytes
    mode: int | None = None


def is_held(error: OSError) -> bool:
    """Whether another program may have the file open, so that it will pass. Only Windows refuses for that."""
    return getattr(error, "winerror", None) in _HELD


def patiently(act: Callable[[], T]) -> T:
    """What `act` returns, which is called again for up to PATIENCE_S where a file is held. Blocks. Raises OSError."""
    until = clock.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except OSError as error:
            if not is_held(error) or clock.monotonic() >= until:
                raise
        time.sleep(_BETWEEN_TRIES_S)


def make_private(directory: Path) -> None:
    """Makes it where it is not there, for this account alone. On Windows as the folder above has it: newer Pythons
    there take 0o700 for an access list of its own, which after a start as administrator locks out the user
    (https://github.com/python/cpython/issues/157876). Raises OSError."""
    mode = 0o777 if sys.platform == "win32" else 0o700
    directory.mkdir(mode, parents=True, exist_ok=True)


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
            patiently(partial(beside.replace, target))


def probe(path: Path) -> None:
    """Whether `replace` may write there. Leaves nothing. Raises OSError."""
    if not path.exists() or path.is_file():
        _refuse_protected(path)
        beside = _beside(path.resolve())
        beside.touch(exist_ok=False)
        patiently(beside.unlink)


def _refuse_protected(path: Path) -> None:
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _written_beside(file: NewFile, leftovers: ExitStack) -> tuple[Path, Path]:
    """Where it is, and where it is to be. It is on the disk then."""
    target = file.path.resolve()  # a link stays one
    beside = _beside(target)
    leftovers.callback(patiently, partial(beside.unlink, missing_ok=True))
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
