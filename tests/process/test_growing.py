"""`wernicke transcribe --realtime` with the real daemon: what a terminal, a pipe and a live file have while the clip is
played."""

import os
import re
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import wire
from tests.process.conftest import serving
from tests.screen import Screen

COLUMNS, LINES = 60, 12
FINAL = re.compile(r"\[\d\d:\d\d\] Speaker_\d\d: \w.*")
OPEN = re.compile(r"\[\d\d:\d\d\] (?!Speaker_)\w.*")
_MAIN = "import sys; from wernicke_daemon.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("data")) as (_, port):
        yield port


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two voices of the bundled clip, one after the other; the second speaks for 12 s without a pause."""
    path = tmp_path_factory.mktemp("audio") / "clip.wav"
    end = wire.REFERENCE["turns"][1]["end"] + 0.4
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(wire.as_int16(wire.clip()[: round(end * 16_000)]))
    return path


def transcribe(port: int, audio: Path, *options: str) -> list[str]:
    url = f"ws://127.0.0.1:{port}/transcribe"
    return [sys.executable, "-c", _MAIN, "transcribe", "--realtime", str(audio), "--url", url, *options]


Played = tuple[Screen, list[list[str]], bytes]
"""The terminal as it is at the end, the rows of it after each change, and all that was written to it."""


def played_on_a_terminal(command: list[str]) -> Played:
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    sized_by_the_terminal = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**sized_by_the_terminal, "TERM": "xterm-256color"}
    )
    os.close(theirs)
    screen, seen, written = Screen(COLUMNS, LINES), [], b""
    while data := _read(ours):
        written += data
        screen.feed(data)
        seen.append(screen.rows)
    os.close(ours)
    assert process.wait(60) == 0, written.decode()
    return screen, seen, written


def _read(terminal: int) -> bytes:
    """Empty at the end, which Linux reports as an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


@pytest.fixture(scope="module")
def on_a_terminal(port: int, audio: Path) -> Iterator[Future[Played]]:
    """Begun with the first test and played beside it: the clip takes its time."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(played_on_a_terminal, transcribe(port, audio))


@pytest.mark.usefixtures("on_a_terminal")
def test_off_a_terminal_only_finals_come_and_the_live_file_has_the_open_text(
    port: int, audio: Path, tmp_path: Path
) -> None:
    """A plain log without control characters; the file's last line, without an end, grows until its final comes."""
    live = tmp_path / "live.txt"
    live.write_text("an earlier run\n", encoding="utf-8")
    process = subprocess.Popen(
        transcribe(port, audio, "--live-file", str(live)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "FORCE_COLOR": "1", "PYTHONUTF8": "1"},
        text=True,
    )
    seen = [""]
    while process.poll() is None:
        if (found := live.read_text(encoding="utf-8")) != seen[-1]:
            seen.append(found)
        time.sleep(0.01)
    out, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, "")
    assert len(out.splitlines()) == 2 and all(FINAL.fullmatch(line) for line in out.splitlines())
    assert live.read_text(encoding="utf-8") == f"an earlier run\n{out}"
    grown = [found.rpartition("\n")[2] for found in seen]
    whole = [text for text in grown if OPEN.fullmatch(text)]
    assert len(set(whole)) > 2
    # A reader may come between the cut and the new text: then it has the beginning of it, or nothing.
    assert all(any(one.startswith(text) for one in whole) for text in grown)
    first_open, first_final = grown.index(whole[0]), next(at for at, found in enumerate(seen) if out[:20] in found)
    assert first_open < first_final


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of this kind are POSIX")
def test_on_a_terminal_the_line_grows_and_finals_take_its_place(on_a_terminal: Future[Played]) -> None:
    """Text shows before its final, dim where it may change; what is left are the finals, each once."""
    screen, seen, written = on_a_terminal.result()
    finals = screen.text.splitlines()
    assert len(finals) == 2 and all(FINAL.fullmatch(line) for line in finals), screen.text
    texts = {row for rows in seen for row in rows if OPEN.fullmatch(row)}
    assert len(texts) > 2 and b"\x1b[2m" in written
    first_open = next(number for number, rows in enumerate(seen) if any(OPEN.fullmatch(row) for row in rows))
    first_final = next(number for number, rows in enumerate(seen) if any(FINAL.match(row) for row in rows))
    assert first_open < first_final
    assert written.rindex(b"\x1b[?25h") > written.rindex(b"\x1b[?25l")  # the cursor is there again
