"""How a process ended, in words."""

import signal

import pytest

from wernicke_daemon.processes.exit_codes import told


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "0"),
        (1, "1"),
        (-int(signal.SIGTERM), "signal 15 (SIGTERM)"),
        (-int(signal.SIGSEGV), "signal 11 (SIGSEGV)"),
        (0xC0000005, "0xC0000005 (access violation)"),
        (0xC0000005 - (1 << 32), "0xC0000005 (access violation)"),
        (0xC0000409, "0xC0000409 (stack buffer overrun, or abort())"),
        (0xC0001234, "0xC0001234"),
        (-250, "0xFFFFFF06"),
    ],
)
def test_what_a_code_says(code: int, words: str) -> None:
    """Signals and Windows' own codes have names; what a program chose is a number."""
    assert told(code) == words
