"""All files of ours below a folder that no code page spells, with a blank in it: config, data, audio, transcripts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests import wire
from tests.process.conftest import ROOT, serving

WERNICKE = (sys.executable, "-c", "import sys; from wernicke_daemon.cli import main; sys.exit(main())")


def test_everything_below_such_a_folder(tmp_path: Path) -> None:
    """The daemon runs there, its log, journal and transcripts are there, and files from there are read and written."""
    folder = tmp_path / "田中 é x"
    folder.mkdir()
    clip = folder / "会議 1.flac"
    shutil.copy(wire.CLIP, clip)
    with serving(folder) as (_, port):
        url = f"ws://127.0.0.1:{port}/transcribe"
        wernicke("transcribe", str(clip), "--url", url, "-o", str(folder / "書き起こし 1.json"))
    written = json.loads((folder / "書き起こし 1.json").read_text(encoding="utf-8"))
    assert len([one for one in written if one["type"] == "final"]) == len(wire.REFERENCE["turns"])
    config = str(folder / "config.toml")
    assert wernicke("sessions", "--config", config, "--json")
    wernicke("export", "last", "--config", config, "-o", str(folder / "二.srt"))
    assert (folder / "二.srt").stat().st_size
    assert (folder / "data" / "logs" / "wernicke.jsonl").stat().st_size


def wernicke(*arguments: str) -> str:
    """What it printed."""
    ended = subprocess.run([*WERNICKE, *arguments], capture_output=True, text=True, cwd=ROOT, encoding="utf-8")
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    return ended.stdout
