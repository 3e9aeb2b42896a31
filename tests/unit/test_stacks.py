"""What a process prints: stacks are one text, everything else is told line by line."""

import faulthandler
import subprocess
import sys
import threading
from pathlib import Path

from wernicke_daemon.processes.stacks import GOING_ON, MOST_LINES, Stacks


def told(*lines: bytes) -> list[bytes]:
    """All that is told of them, in order."""
    stacks = Stacks()
    return [text for line in lines for text in stacks.take(line)] + stacks.rest()


def printed(code: str) -> list[bytes]:
    """What a process prints that runs it, line by line."""
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", code], capture_output=True)
    return done.stderr.splitlines()


def test_stacks_of_all_threads_are_one_text(tmp_path: Path) -> None:
    """As they are written at a limit, of a process with several threads."""
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    with (tmp_path / "stacks").open("w+b") as file:
        faulthandler.dump_traceback_later(0.01, file=file)
        while not file.seek(0, 2):
            pass
        threads[0].join(0.1)
        faulthandler.cancel_dump_traceback_later()
        file.seek(0)
        lines = file.read().splitlines()
    done.set()
    assert len(lines) > 10
    assert told(b"before", *lines, b'{"event": "after"}') == [b"before", b"\n".join(lines), b'{"event": "after"}']


def test_a_crash_in_native_code_is_one_text() -> None:
    lines = printed("import faulthandler; faulthandler._sigsegv()")
    [text] = told(*lines)
    assert b"File" in text and (b"Segmentation fault" in text or b"access violation" in text)


def test_a_traceback_is_one_text_with_its_error() -> None:
    lines = printed("def f(): raise ValueError('such')\nf()")
    assert told(*lines, b"after") == [b"\n".join(lines), b"after"]
    assert lines[-1] == b"ValueError: such"


def test_other_lines_are_told_at_once() -> None:
    """Also where they look like the inside of a stack, which none has begun."""
    stacks = Stacks()
    for line in (b"WARNING lib: such", b"  indented", b"", b"Threads: 2"):
        assert stacks.take(line) == [line]
        assert not stacks.pending


def test_a_text_is_bounded() -> None:
    lines = [b"Timeout (0:00:01)!", *[b'  File "x.py", line 1 in f'] * 10_000]
    pieces = [text.splitlines() for text in told(*lines)]
    assert max(map(len, pieces)) == MOST_LINES
    assert [line for piece in pieces for line in piece if line != GOING_ON] == lines
