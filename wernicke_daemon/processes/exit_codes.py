"""What an exit code of a process says; pure."""

import signal

_WINDOWS = {
    0x80000003: "breakpoint",
    0xC0000005: "access violation",
    0xC0000006: "in-page error",
    0xC0000017: "no memory",
    0xC000001D: "illegal instruction",
    0xC0000094: "integer division by zero",
    0xC00000FD: "stack overflow",
    0xC0000135: "a DLL was not found",
    0xC0000139: "an entry point of a DLL was not found",
    0xC000013A: "ended by Ctrl-C or a closed console",
    0xC0000142: "a DLL could not be initialized",
    0xC0000374: "heap corruption",
    0xC0000409: "stack buffer overrun, or abort()",
    0xE06D7363: "C++ exception that nobody caught",
}
"""NTSTATUS values ([MS-ERREF] 2.3.1), and what Visual C++ raises for an exception of its own."""

_FAILURE = 0x80000000
"""From here on (warnings and errors) a Windows code is no number that a program chose."""


def ended(how: int | str) -> str:
    """Of a process, behind "its process". how: its exit code, as of `told`, or what is to stand there."""
    return how if isinstance(how, str) else f"ended with {told(how)}"


def told(code: int) -> str:
    """code: negative for a signal, as `subprocess` has it on POSIX; of Windows with or without a sign."""
    unsigned = code & 0xFFFF_FFFF
    if code < 0 and -code in list(signal.Signals) and unsigned not in _WINDOWS:
        return f"signal {-code} ({signal.Signals(-code).name})"
    if unsigned < _FAILURE:
        return str(code)
    name = _WINDOWS.get(unsigned)
    return f"0x{unsigned:08X}" + (f" ({name})" if name else "")
