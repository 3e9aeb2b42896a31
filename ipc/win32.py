"""The few calls of Windows itself that are needed, most of them of kernel32 to keep processes together, with their C
types (source: Microsoft's Win32 reference, one page per name used here).

`declare` gives a loaded library its types, so that tests run the same declarations against C functions of their own
on any system. Fixed-width types stand in for `ctypes.wintypes`, whose DWORD is 8 bytes wide outside Windows.
"""

import contextlib
import ctypes
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

HANDLE = ctypes.c_void_p
BOOL = ctypes.c_int32
DWORD = ctypes.c_uint32
ULONG_PTR = ctypes.c_size_t

JOB_OBJECT_EXTENDED_LIMIT_INFORMATION = 9
"""JOBOBJECTINFOCLASS: which structure SetInformationJobObject is given."""

JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x2000
JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION = 0x0400
SYNCHRONIZE = 0x0010_0000
INFINITE = 0xFFFF_FFFF
WAIT_FAILED = 0xFFFF_FFFF


SEM_FAILCRITICALERRORS = 0x0001
SEM_NOGPFAULTERRORBOX = 0x0002
SEM_NOOPENFILEERRORBOX = 0x8000

CLOSING_EVENTS = (2, 5, 6)
"""CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT of HandlerRoutine."""


FIXED_FILE_INFO = 52
"""Bytes of VS_FIXEDFILEINFO (verrsrc.h), 13 numbers of 32 bits."""


class BasicLimitInformation(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION: 64 bytes on 64-bit Windows."""

    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", DWORD),
        ("Affinity", ULONG_PTR),
        ("PriorityClass", DWORD),
        ("SchedulingClass", DWORD),
    )


class IoCounters(ctypes.Structure):
    """IO_COUNTERS: 48 bytes."""

    _fields_ = (
        ("ReadOperationCount", ctypes.c_uint64),
        ("WriteOperationCount", ctypes.c_uint64),
        ("OtherOperationCount", ctypes.c_uint64),
        ("ReadTransferCount", ctypes.c_uint64),
        ("WriteTransferCount", ctypes.c_uint64),
        ("OtherTransferCount", ctypes.c_uint64),
    )


class ExtendedLimitInformation(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION: 144 bytes on 64-bit Windows."""

    _fields_ = (
        ("BasicLimitInformation", BasicLimitInformation),
        ("IoInfo", IoCounters),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class Kernel32(Protocol):
    """The calls under their Windows names. Handles are ints. Every failure is raised as OSError."""

    def CreateJobObjectW(self, attributes: None, name: None, /) -> int: ...

    def SetInformationJobObject(
        self, job: int, information_class: int, information: ExtendedLimitInformation, size: int, /
    ) -> int: ...

    def AssignProcessToJobObject(self, job: int, process: int, /) -> int: ...

    def GetCurrentProcess(self) -> int: ...

    def OpenProcess(self, access: int, inherit: bool, pid: int, /) -> int: ...

    def WaitForSingleObject(self, handle: int, milliseconds: int, /) -> int: ...


def declare(library: Any, last_error: Callable[[], OSError]) -> Kernel32:
    """Give the library's functions their C types, and make them raise `last_error()` where they say they failed.

    Without them ctypes would cut handles to 32 bits.
    """

    def nonzero(result: int | None, *_: object) -> int:
        if not result:
            raise last_error()
        return result

    def waited(result: int, *_: object) -> int:
        if result == WAIT_FAILED:
            raise last_error()
        return result

    information = ctypes.POINTER(ExtendedLimitInformation)
    _declare(library.CreateJobObjectW, HANDLE, (ctypes.c_void_p, ctypes.c_wchar_p), nonzero)
    _declare(library.SetInformationJobObject, BOOL, (HANDLE, ctypes.c_int32, information, DWORD), nonzero)
    _declare(library.AssignProcessToJobObject, BOOL, (HANDLE, HANDLE), nonzero)
    _declare(library.GetCurrentProcess, HANDLE, (), nonzero)
    _declare(library.OpenProcess, HANDLE, (DWORD, BOOL, DWORD), nonzero)
    _declare(library.WaitForSingleObject, DWORD, (HANDLE, DWORD), waited)
    return cast(Kernel32, library)


def _declare(function: Any, result: type, arguments: tuple[type, ...], check: Callable[..., int]) -> None:
    function.restype = result
    function.argtypes = arguments
    function.errcheck = check


def first_numbers(info: bytes) -> tuple[int, int]:
    """Of a file's version. info: its VS_FIXEDFILEINFO, whose third number has them."""
    high = struct.unpack("<13I", info)[2]
    return high >> 16, high & 0xFFFF


if sys.platform == "win32":

    def load_kernel32() -> Kernel32:
        library = ctypes.WinDLL("kernel32", use_last_error=True)
        return declare(library, lambda: ctypes.WinError(ctypes.get_last_error()))

    @contextlib.contextmanager
    def console_events(answer: Callable[[int], bool]) -> Iterator[None]:
        """answer: called for each console event, on a thread of its own, before those that were there before; returns
        whether they are to be left out. Raises OSError where the console takes no handler."""
        library = ctypes.WinDLL("kernel32", use_last_error=True)
        routine = ctypes.WINFUNCTYPE(BOOL, DWORD)(answer)
        library.SetConsoleCtrlHandler.argtypes = (ctypes.c_void_p, BOOL)
        if not library.SetConsoleCtrlHandler(routine, True):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            yield
        finally:
            library.SetConsoleCtrlHandler(routine, False)

    def show_no_error_dialogs() -> None:
        """Neither of this process nor of those that it starts from now on: one that crashes would wait, with all that
        it holds, until somebody has clicked."""
        ctypes.WinDLL("kernel32").SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX)

    def end_at_once(status: int) -> None:
        """This process, without a word to its libraries, which `os._exit` has say goodbye (DLL_PROCESS_DETACH)."""
        library = ctypes.WinDLL("kernel32", use_last_error=True)
        library.GetCurrentProcess.restype = HANDLE
        library.TerminateProcess.argtypes = (HANDLE, ctypes.c_uint32)
        library.TerminateProcess(library.GetCurrentProcess(), status)

    def file_version(file: Path) -> tuple[int, int] | None:
        """First two numbers of a program's or library's version; None where there is no such file, or it has none."""
        library = ctypes.WinDLL("version")
        if not (size := library.GetFileVersionInfoSizeW(str(file), None)):
            return None
        data, found, length = ctypes.create_string_buffer(size), ctypes.c_void_p(), ctypes.c_uint32()
        library.GetFileVersionInfoW(str(file), 0, size, data)
        there = library.VerQueryValueW(data, "\\", ctypes.byref(found), ctypes.byref(length))
        return first_numbers(ctypes.string_at(found, FIXED_FILE_INFO)) if there else None
