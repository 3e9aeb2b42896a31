"""Stage processes belong to the front and die with it, whatever ends it: the front's half, per platform.

- Windows: the front puts itself into a Job Object that kills its processes when its last handle closes. Children are
  in the job from birth, and the only handle is the front's, which Windows closes when the front ends.
- POSIX: children inherit the read end of one pipe. Only the front has the write end, so all of them read
  end-of-file when the front is gone.

`ipc.parent_watch` is the children's half.
"""

import ctypes
import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import structlog

from ipc import win32

PACKAGES = Path(__file__).resolve().parents[2]
"""The directory that `ipc` and `stages` are imported from."""

BASE_INTERPRETER: str = getattr(sys, "_base_executable", sys.executable)
"""What a venv was made from; the running interpreter itself outside a venv."""

_log = structlog.get_logger()


def adopt_current_process() -> None:
    """Make all processes that this one starts from now on die with it, and without asking anybody where they crash.
    Called once, before the first start.

    Nothing needs doing on POSIX, where the pipe does it.
    """
    if sys.platform == "win32":
        win32.show_no_error_dialogs()
        join_new_job(win32.load_kernel32())


def join_new_job(kernel32: win32.Kernel32) -> None:
    """Put the current process into a new job that dies with it, and that no child may leave.

    The job's handle stays open on purpose: closing it would kill this process and all its children. A refusal (a job
    that this process is already in forbids nesting) is logged; children still watch the front themselves.
    """
    limits = win32.ExtendedLimitInformation()
    limits.BasicLimitInformation.LimitFlags = (
        win32.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | win32.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
    )
    information_class = win32.JOB_OBJECT_EXTENDED_LIMIT_INFORMATION
    try:
        job = kernel32.CreateJobObjectW(None, None)
        kernel32.SetInformationJobObject(job, information_class, limits, ctypes.sizeof(limits))
        kernel32.AssignProcessToJobObject(job, kernel32.GetCurrentProcess())
    except OSError as error:
        _log.warning("job_object_refused", reason=str(error))


@functools.cache
def parent_pipe() -> int | None:
    """Descriptor that children inherit under the same number; they read end-of-file when this process has ended.

    None on Windows. The write end stays open for the life of this process, and (PEP 446) no child inherits it.
    """
    if sys.platform == "win32":
        return None
    read_end, _write_end = os.pipe()
    return read_end


def python() -> str:
    """The interpreter to start. A venv's python.exe on Windows is a launcher: the process behind it has another pid."""
    return BASE_INTERPRETER if sys.platform == "win32" else sys.executable


def environment(defaults: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The child's environment: this process's own, without HF_TOKEN, since stages never download anything. defaults:
    variables that it has where this process has none of that name.

    The child finds `ipc` and `stages` wherever it is started, and takes nothing from the working directory; what it
    says arrives at once and in UTF-8, its stacks on a crash in native code included.
    """
    variables = {**defaults, **os.environ}
    variables.pop("HF_TOKEN", None)
    search = [str(PACKAGES), variables.get("PYTHONPATH", "")]
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, search))
    for switch in ("PYTHONSAFEPATH", "PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONFAULTHANDLER"):
        variables[switch] = "1"
    if sys.platform == "win32" and sys.executable != BASE_INTERPRETER:
        variables["__PYVENV_LAUNCHER__"] = sys.executable  # or the base interpreter would not see the venv
    return variables


def popen_options() -> dict[str, Any]:
    """Keyword arguments for Popen: out of reach of the terminal's Ctrl-C, and tied to this process."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"process_group": 0, "pass_fds": (parent_pipe(),)}
