"""The daemon with a console that takes nothing, and without any."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.process.conftest import ROOT, command, stop
from tests.waiting import WITHIN_S, eventually_sync


def start_without_streams(*arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    """Python, as a scheduled task starts pythonw.exe."""
    if sys.platform == "win32":
        windowless = Path(sys.executable).with_name("pythonw.exe")
        if not windowless.exists():
            pytest.skip("no pythonw.exe beside this Python")
        none = subprocess.STARTUPINFO(dwFlags=subprocess.STARTF_USESTDHANDLES)
        none.hStdInput = none.hStdOutput = none.hStdError = 0
        return subprocess.Popen([windowless, *arguments], startupinfo=none, **options)
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable)
    return subprocess.Popen([*closed, *arguments], **options)


def logged(directory: Path, event: str) -> dict[str, Any] | None:
    """The last line of that event in the log."""
    file = directory / "data/logs/wernicke.jsonl"
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines()) if file.exists() else ()
    return next((line for line in reversed(list(lines)) if line["event"] == event), None)


def options(directory: Path, port: int = 0, console: bool = True) -> list[str]:
    file = directory / "config.toml"
    file.write_text(f"[logging]\nconsole = {str(console).lower()}\n[web]\nenabled = false\n", encoding="utf-8")
    return command("--config", str(file), "--profile", "embedded", "--host", "127.0.0.1", "--port", str(port))


def runs_and_stops(process: "subprocess.Popen[bytes]", directory: Path) -> None:
    """It gets ready, and `wernicke stop` ends it in order. Its settings are those of `options`."""
    try:
        eventually_sync(lambda: logged(directory, "ready") or process.poll() is not None)
        assert stop(directory).returncode == 0
        assert process.wait(WITHIN_S) == 0
    finally:
        process.kill()
    assert logged(directory, "stopped")


@contextmanager
def full_pipe() -> Iterator[int]:
    """To write to; it takes nothing more."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipe there can be filled without waiting, before Python 3.12")
def test_a_console_that_takes_nothing_holds_up_nobody(tmp_path: Path) -> None:
    """Neither the start, nor the log file, nor the stop."""
    with full_pipe() as console:
        runs_and_stops(subprocess.Popen(options(tmp_path), stdout=console, stderr=console), tmp_path)


def test_without_streams_it_runs(tmp_path: Path) -> None:
    runs_and_stops(start_without_streams(*options(tmp_path)[1:]), tmp_path)


def test_without_streams_the_log_says_why_it_does_not_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start_without_streams(*options(tmp_path, taken.getsockname()[1])[1:])
        assert process.wait(WITHIN_S) == 1
    line = logged(tmp_path, "not_started")
    assert line is not None and line["code"] == "CAN_NOT_LISTEN"


def test_without_streams_a_broken_package_is_told(tmp_path: Path) -> None:
    """Before anything could be imported that would tell it."""
    shutil.copy(ROOT / "run_daemon.py", tmp_path)
    (tmp_path / "msgspec.py").write_text("raise ImportError('DLL load failed')", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    assert start_without_streams(str(tmp_path / "run_daemon.py"), env=environment, cwd=tmp_path).wait(WITHIN_S) == 1
    assert "DLL load failed" in (tmp_path / "data/logs/not_started.txt").read_text(encoding="utf-8")
