"""The Windows half of the process tree, run on any system against C functions that stand in for kernel32."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from ipc import parent_watch, win32
from wernicke_daemon.processes import process_tree

JOB = 0x1_0000_0010
FRONT = 0xFFFF_FFFF_FFFF_FFFF
PROCESS = 0x1_0000_0020
"""Handles of more than 32 bits, as a wrong declaration would cut them; FRONT is the current process's pseudo handle."""


class FakeKernel32:
    """C functions with kernel32's names. Calls are noted in order; `results` replaces what a function returns."""

    def __init__(self, **results: int) -> None:
        self.dialogs = True
        self.calls: list[tuple[Any, ...]] = []
        self.limits: bytes = b""
        self._results = {
            "CreateJobObjectW": JOB,
            "SetInformationJobObject": 1,
            "AssignProcessToJobObject": 1,
            "GetCurrentProcess": FRONT,
            "OpenProcess": PROCESS,
            "WaitForSingleObject": 0,
        } | results
        pointer, number, word = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32
        self.library = SimpleNamespace(
            CreateJobObjectW=self._function("CreateJobObjectW", pointer, pointer, pointer),
            SetInformationJobObject=self._function("SetInformationJobObject", number, pointer, number, pointer, word),
            AssignProcessToJobObject=self._function("AssignProcessToJobObject", number, pointer, pointer),
            GetCurrentProcess=self._function("GetCurrentProcess", pointer),
            OpenProcess=self._function("OpenProcess", pointer, word, number, word),
            WaitForSingleObject=self._function("WaitForSingleObject", word, pointer, word),
        )

    def _function(self, name: str, result: type, *arguments: type) -> Any:
        def called(*values: Any) -> int:
            self.calls.append((name, *values))
            if name == "SetInformationJobObject":
                self.limits = ctypes.string_at(values[2], values[3])
            return self._results[name]

        return ctypes.CFUNCTYPE(result, *arguments)(called)

    def declared(self) -> win32.Kernel32:
        return win32.declare(self.library, lambda: PermissionError(5, "Access is denied"))

    def quieted(self) -> None:
        self.dialogs = False

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> FakeKernel32:
    """The code's own branches for Windows, with a fake kernel32 behind them."""
    kernel32 = FakeKernel32()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(win32, "load_kernel32", kernel32.declared, raising=False)
    monkeypatch.setattr(win32, "show_no_error_dialogs", kernel32.quieted, raising=False)
    return kernel32


def test_structures_have_the_sizes_of_64_bit_windows() -> None:
    """Windows refuses a limit structure of another size."""
    assert ctypes.sizeof(win32.BasicLimitInformation) == 64
    assert ctypes.sizeof(win32.IoCounters) == 48
    assert ctypes.sizeof(win32.ExtendedLimitInformation) == 144


def test_front_joins_a_job_that_is_set_up_first(on_windows: FakeKernel32) -> None:
    """Create, then limit, then join: a job without the limit would not kill."""
    process_tree.adopt_current_process()
    assert not on_windows.dialogs
    create, limit, current, assign = on_windows.calls
    assert create == ("CreateJobObjectW", None, None)
    assert (limit[0], limit[1], limit[2], limit[4]) == ("SetInformationJobObject", JOB, 9, 144)
    assert current == ("GetCurrentProcess",)
    assert assign == ("AssignProcessToJobObject", JOB, FRONT)


def test_job_kills_on_close_and_allows_no_breakaway(on_windows: FakeKernel32) -> None:
    """Besides, a crash ends its process without a dialog (0x400). Each of the breakaway flags (0x800, 0x1000) would
    let children out."""
    process_tree.adopt_current_process()
    limits = win32.ExtendedLimitInformation.from_buffer_copy(on_windows.limits)
    assert limits.BasicLimitInformation.LimitFlags == 0x2400
    assert on_windows.limits.count(0) == 143


def test_job_handle_is_never_closed(on_windows: FakeKernel32) -> None:
    """Closing it would kill the front; the stand-in has no CloseHandle to call, and the real one is not declared."""
    process_tree.adopt_current_process()
    assert not hasattr(win32.Kernel32, "CloseHandle")
    assert "CloseHandle" not in on_windows.names


@pytest.mark.parametrize("refused", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"])
def test_a_refused_job_is_a_warning(refused: str) -> None:
    """Inside a job that forbids nesting the daemon still starts, says so, and tries nothing after the refusal."""
    kernel32 = FakeKernel32(**{refused: 0})
    with capture_logs() as logs:
        process_tree.join_new_job(kernel32.declared())
    assert kernel32.names[-1] == refused
    assert [(line["log_level"], line["event"]) for line in logs] == [("warning", "job_object_refused")]
    assert "Access is denied" in logs[0]["reason"]


def test_stage_waits_for_the_front_without_limit() -> None:
    """The process is opened for waiting only, and waited for without a time-out."""
    kernel32 = FakeKernel32()
    parent_watch.wait_for_process(kernel32.declared(), 4242)
    assert kernel32.calls == [
        ("OpenProcess", 0x0010_0000, 0, 4242),
        ("WaitForSingleObject", PROCESS, 0xFFFF_FFFF),
    ]


@pytest.mark.parametrize("refused", [{"OpenProcess": 0}, {"WaitForSingleObject": 0xFFFF_FFFF}])
def test_a_failed_watch_is_an_error(refused: dict[str, int]) -> None:
    """Neither a front that is gone already nor a failed wait looks like a front that lives."""
    with pytest.raises(PermissionError):
        parent_watch.wait_for_process(FakeKernel32(**refused).declared(), 4242)


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Exit statuses that would have ended this process; the watch runs in this thread instead of its own."""
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    monkeypatch.setattr(parent_watch, "_end_after", parent_watch._wait_and_end)
    return statuses


def test_stage_ends_when_the_front_has_ended(on_windows: FakeKernel32, exits: list[int]) -> None:
    """The watch ends the process when the wait returns, and not before."""
    parent_watch.watch_parent(4242, None)
    assert on_windows.names == ["OpenProcess", "WaitForSingleObject"]
    assert exits == [parent_watch.PARENT_GONE]


def test_stage_ends_when_the_front_is_already_gone(
    on_windows: FakeKernel32, exits: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no process to open any more; the reason is said in one line."""
    monkeypatch.setattr(win32, "load_kernel32", FakeKernel32(OpenProcess=0).declared)
    parent_watch.watch_parent(4242, None)
    assert exits == [parent_watch.PARENT_GONE]
    assert capsys.readouterr().err.count("\n") == 1


def test_venv_is_started_through_its_base_interpreter(
    on_windows: FakeKernel32, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher's pid is not the child's; the base interpreter is told which venv it serves."""
    monkeypatch.setattr(sys, "executable", r"C:\venv\Scripts\python.exe")
    monkeypatch.setattr(process_tree, "BASE_INTERPRETER", r"C:\Python\python.exe")
    assert process_tree.python() == r"C:\Python\python.exe"
    assert process_tree.environment()["__PYVENV_LAUNCHER__"] == r"C:\venv\Scripts\python.exe"


def test_no_launcher_outside_a_venv(on_windows: FakeKernel32, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a venv there is one interpreter and nothing to tell it."""
    monkeypatch.setattr(process_tree, "BASE_INTERPRETER", sys.executable)
    assert process_tree.python() == sys.executable
    assert "__PYVENV_LAUNCHER__" not in process_tree.environment()


def test_children_are_away_from_the_console(on_windows: FakeKernel32, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of their own and no console: Ctrl-C and a closed window reach the front alone."""
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x0800_0000, raising=False)
    assert process_tree.popen_options() == {"creationflags": 0x0800_0200}


def test_no_pipe_on_windows(on_windows: FakeKernel32) -> None:
    """The process handle takes the pipe's place."""
    assert process_tree.parent_pipe.__wrapped__() is None


@pytest.mark.skipif(sys.platform != "win32", reason="the real kernel32")
def test_real_kernel32_has_every_call() -> None:
    """Every name exists in the real library, and the current process can be opened and waited for."""
    load: Callable[[], win32.Kernel32] = getattr(win32, "load_kernel32")  # noqa: B009
    kernel32 = load()
    process = kernel32.OpenProcess(win32.SYNCHRONIZE, False, os.getpid())
    assert kernel32.WaitForSingleObject(process, 0) == 0x102
