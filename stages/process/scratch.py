"""Where libraries write what they write by themselves: caches and temporary files, below the data directory."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

TEMPORARY = ("TMPDIR", "TEMP", "TMP")
"""Read by `tempfile` and by native code, on one system or the other."""

PREFIX = "tmp-"
"""Of a process's own folder; its pid follows."""


def use(directory: Path) -> None:
    """For this process, before libraries are imported. Temporary files go into a folder of its own, as a process that
    is killed, or ended without clean-up, leaves them; what others have left is removed.

    directory: is made. Where that fails (a full disk) everything stays where it was.
    """
    own = directory / f"{PREFIX}{os.getpid()}"
    with contextlib.suppress(OSError):
        shutil.rmtree(own, ignore_errors=True)  # in a container every start may get the same pid
        own.mkdir(parents=True)
        _keep_models_where_they_are()
        os.environ |= dict.fromkeys(TEMPORARY, str(own))
        os.environ |= {"XDG_CACHE_HOME": str(directory), "MPLCONFIGDIR": str(directory / "matplotlib")}
        tempfile.tempdir = None  # it may have been looked up already
        _sweep(directory)


def _keep_models_where_they_are() -> None:
    """huggingface_hub's cache of models is in the user's directory of caches, unless told otherwise."""
    caches = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    os.environ.setdefault("HF_HOME", str(Path(caches) / "huggingface"))


def _sweep(directory: Path) -> None:
    for path in directory.glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX)
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)  # another stage may be at it, too
