"""An uploaded file is decoded in a process that ends in time, whatever is in it."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wernicke_daemon.config.schema import WebSettings
from wernicke_daemon.web.openai import upload

pytestmark = pytest.mark.asyncio


async def test_a_file_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process starts within a hundredth of a second."""
    monkeypatch.setattr(upload, "DECODED_WITHIN_S", 0.01)
    with pytest.raises(upload.Unreadable, match=r"longer than 0.01 s to be read"):
        await upload.decoded(io.BytesIO(b"RIFF"), tmp_path, WebSettings())


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is never read to its end is a POSIX thing")
async def test_a_decoder_that_hangs_ends_by_itself(tmp_path: Path) -> None:
    """Nobody need be left to end it."""
    os.mkfifo(endless := tmp_path / "endless")
    command = [sys.executable, "-m", "wernicke_daemon.web.openai.decode", endless, tmp_path / "samples", "60", "0.5"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
    assert ended.returncode and b"Timeout" in ended.stderr
