"""`wernicke doctor --report` beside a daemon that has heard speech: all that helps in one file, and nothing private."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import wire
from tests.process.conftest import free_port, serving
from tests.process.test_run_daemon import log_lines
from tests.waiting import eventually_sync
from tests.wine import needs_visual_cpp_runtime
from wernicke_daemon.client import Exit

WERNICKE = "import sys; from wernicke_daemon.cli import main; sys.exit(main())"
USER, TOKEN, TERM = "Tannhauser", "aToken-of-mine.1", "Wolkenkuckucksheim"
OWN = f"""
glossary = ["{TERM}"]
[runtime]
profile = "embedded"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a user, with all that is the daemon's below it."""
    folder = tmp_path / USER / "secret plans"
    folder.mkdir(parents=True)
    return folder


def reported(config: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    home = str(config.parent.parent)
    names = {"USER": USER, "LOGNAME": USER, "USERNAME": USER, "HOME": home, "USERPROFILE": home}
    return subprocess.run(
        [sys.executable, "-c", WERNICKE, "doctor", "--config", str(config), "--report", str(file), *options],
        env=os.environ | names | {"HF_TOKEN": TOKEN, "HF_HOME": str(config.parent / "hub")},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=110,
    )


@needs_visual_cpp_runtime
def test_beside_a_daemon_that_has_heard_speech(home: Path) -> None:
    """Its stages, its log's events and the settings are there; what was said, though the log has it, is not."""
    file, config = home / "report.txt", home / "report.toml"
    file.write_text("older", encoding="utf-8")
    with serving(home, OWN) as (_, port):
        final = wire.finals(asyncio.run(wire.transcribe(port, wire.turn(5).astype("<f4").tobytes())))[0]
        eventually_sync(lambda: log_lines(home / "data", "session_over"))
        with (home / "data/logs/wernicke.jsonl").open("a", encoding="utf-8") as log:  # as logging.log_text has it
            log.write(json.dumps({"level": "info", "event": "utterance", "text": final["text"]}) + "\n")
        config.write_text(f'host = "127.0.0.1"\nport = {port}\n{OWN}', encoding="utf-8")
        ended = reported(config, file)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "read it before you hand it on" in ended.stderr
    text = file.read_text(encoding="utf-8")
    for private in (USER, TOKEN, TERM, "secret plans", str(home), final["text"], final["session_id"]):
        assert private.lower() not in text.lower()
    assert all(line in text.splitlines() for line in ("health status: ok", "health stages.asr.state: ready"))
    assert "2 x info utterance, last" in text and "glossary: (1 given)" in text and "numpy: " in text
    assert "ok port: " in text and "stats total_transcriptions: 1" in text and "priority of asr: " in text


def test_without_a_daemon_and_without_a_log(home: Path) -> None:
    """Both are said. Exit code and table are as without a report."""
    config = home / "config.toml"
    port = free_port()
    text = f'host = "127.0.0.1"\nport = {port}\n[asr]\nengine = "faster_whisper"\n[runtime]\nprofile = "cpu"\n'
    config.write_text(text, encoding="utf-8")
    ended = reported(config, home / "report.txt", "--json")
    text = (home / "report.txt").read_text(encoding="utf-8")
    assert ended.returncode == 1 and '"ok": false' in ended.stdout
    assert "NO model for recognition: " in text and f"health: Nothing answers at ws://127.0.0.1:{port}" in text
    assert "there is none to be read" in text and USER not in text


def test_a_place_where_nothing_can_be_written(home: Path) -> None:
    """It is said before anything is looked at."""
    config = home / "config.toml"
    config.write_text("", encoding="utf-8")
    ended = reported(config, home / "none" / "report.txt")
    assert ended.returncode == Exit.USAGE and "does not exist" in ended.stderr and ended.stdout == ""
