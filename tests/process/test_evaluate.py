"""`wernicke eval` as a program: a daemon of its own, with the user's settings, judged by recordings."""

import json
import subprocess
import sys
from pathlib import Path

from wernicke_daemon.demo import CLIP, REFERENCE
from wernicke_daemon.evaluation.clips import clips
from wernicke_daemon.evaluation.page import flac

WERNICKE = "import sys; from wernicke_daemon.cli import main; sys.exit(main())"
SETTINGS = """
port = 1
[security]
clients = ["{token}"]
[runtime]
profile = "cpu"
data_dir = "data"
[asr]
engine = "pocketsphinx"
language = "en"
[correction]
engine = "none"
[diarization]
engine = "{speakers}"
"""


def settings(folder: Path, name: str, speakers: str) -> Path:
    """Those of a daemon that wants tokens and has data."""
    path = folder / name
    path.write_text(SETTINGS.format(token="sha256:" + "0" * 64, speakers=speakers), encoding="utf-8")
    return path


def evaluated(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WERNICKE, "eval", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=250, cwd=folder)


async def test_two_settings_on_the_demo_clip(tmp_path: Path) -> None:
    """Figures of both; the page is written; what the user's daemon keeps is left alone."""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    turns = json.loads(REFERENCE.read_bytes())["turns"][:2]
    turns[0]["text"] = turns[0]["text"].replace("today", "tomorrow")  # one error at least
    [sound] = await clips([(CLIP, 0.0, turns[-1]["end"] + 0.5)])
    (recordings / "clip.json").write_text(json.dumps({"turns": turns}))
    for name in ("clip.flac", "other.flac"):
        (recordings / name).write_bytes(flac(sound))
    ours, theirs = settings(tmp_path, "ours.toml", "onnx"), settings(tmp_path, "theirs.toml", "none")
    page = tmp_path / "page.html"
    options = ("--json", "--html", str(page))
    ended = evaluated(tmp_path, str(recordings), "--config", str(ours), "--against", str(theirs), *options)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert 0 < found["wer"] < 0.2 and found["speakers_right"] > 0.9 and found["invented_chars"] == 0
    assert found["against"]["speakers_right"] == 0.0 and found["against"]["wer"] < 0.2
    assert "other.flac is left out" in ended.stderr
    assert "<del>tomorrow</del>" in (text := page.read_text(encoding="utf-8")) and "data:audio/flac" in text
    assert not (tmp_path / "data").exists()


def test_a_folder_without_references_is_refused(tmp_path: Path) -> None:
    """Before a daemon is started."""
    ended = evaluated(tmp_path, str(tmp_path))
    assert ended.returncode != 0 and "has no recording with a reference" in ended.stderr
