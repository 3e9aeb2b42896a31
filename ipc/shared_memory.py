"""Named shared memory: create, attach without owning, sweep what dead owners left.

On Python < 3.13 a process that merely attaches registers the segment with its own resource tracker, which would
unlink it when that process exits; `attach` keeps the tracker out, in this one place.
"""

import contextlib
import itertools
import os
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import psutil

PREFIX = "wernicke_"
"""Names are `wernicke_<owner pid>_<n>`: under the 31 characters that macOS allows."""

_numbers = itertools.count()
_created: set[str] = set()

_DEV_SHM = Path("/dev/shm")


def create(size: int) -> SharedMemory:
    """A new zeroed segment owned by this process. Raises OSError (ENOSPC) if there is no room for all of it."""
    segment = SharedMemory(f"{PREFIX}{os.getpid()}_{next(_numbers)}", create=True, size=size)
    _created.add(segment.name)
    try:
        _reserve(segment.name, size)
    except OSError:
        segment.close()
        segment.unlink()
        raise
    return segment


def _reserve(name: str, size: int) -> None:
    """Without this a /dev/shm that is too small shows as SIGBUS on a later write, not as an error here."""
    if sys.platform == "linux":
        descriptor = os.open(_DEV_SHM / name, os.O_RDWR)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)


def attach(name: str) -> SharedMemory:
    """Map an existing segment; the owner alone removes it. Raises FileNotFoundError."""
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    return _attach_untracked(name)


def _attach_untracked(name: str) -> SharedMemory:
    """A stage attaches once, in its main thread, before it starts others: replacing `register` is safe there."""

    def ignore(*_: Any) -> None:
        return None

    original = resource_tracker.register
    resource_tracker.register = ignore  # type: ignore[assignment]
    try:
        return SharedMemory(name)
    finally:
        resource_tracker.register = original


def sweep() -> list[str]:
    """Remove segments whose owner is dead; the names removed. Linux only: elsewhere a dead owner leaves nothing
    (Windows) or nothing that can be listed (macOS, where the owner's own resource tracker removes it)."""
    removed = []
    for path in _DEV_SHM.glob(f"{PREFIX}*") if sys.platform == "linux" else ():
        if _left_behind(path.name):
            with contextlib.suppress(FileNotFoundError, PermissionError):  # swept by another; another user's
                path.unlink()
                removed.append(path.name)
    return removed


def _left_behind(name: str) -> bool:
    owner = name.removeprefix(PREFIX).partition("_")[0]
    if owner == str(os.getpid()):  # in a container every start may get the same pid
        return name not in _created
    return owner.isdigit() and not psutil.pid_exists(int(owner))
