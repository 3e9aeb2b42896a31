"""Files that are replaced as a whole: whatever happens meanwhile, what is there is the old one or the new one."""

import os
import secrets
import shutil
import time
from pathlib import Path

_TRIES = 10
_BETWEEN_TRIES_S = 0.2
"""For a file that another program keeps from being replaced for a moment, as virus scanners do on Windows."""


def replace(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Written beside, then put in the place of what is there. What is no file, such as a pipe, is written to.

    mode: of a new file, less the umask; one that is there keeps its own. Raises OSError; what was there is untouched.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = path.resolve()  # a link stays one
    beside = _beside(target)
    try:
        beside.touch(mode, exist_ok=False)  # no byte is there before the mode is
        if target.exists():
            shutil.copymode(target, beside)
        _write(beside, data)
        _put(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def probe(path: Path) -> None:
    """Whether `replace` may write there. Leaves nothing. Raises OSError."""
    if path.exists() and not path.is_file():
        return
    beside = _beside(path.resolve())
    beside.touch(exist_ok=False)
    beside.unlink()


def _beside(target: Path) -> Path:
    return target.with_name(f".{secrets.token_hex(8)}.new")


def _write(file: Path, data: bytes) -> None:
    """It is on the disk before it takes the old one's place."""
    with file.open("r+b") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _put(beside: Path, target: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            beside.replace(target)
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(_BETWEEN_TRIES_S)
