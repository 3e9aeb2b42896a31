"""Where libraries' own files go, in a process of its own as it is for good."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, os, sys, tempfile
from pathlib import Path
from stages.process import scratch
tempfile.gettempdir()
scratch.use(Path(sys.argv[1]))
from huggingface_hub import constants
print(json.dumps([os.getpid(), tempfile.mkdtemp(), constants.HF_HUB_CACHE]))
"""


def used(directory: Path, **environment: str) -> tuple[int, Path, Path]:
    """Its pid, a temporary directory that it has made, where it looks for models."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    program = [sys.executable, "-c", PROGRAM, str(directory)]
    ended = subprocess.run(program, env={**kept, **environment}, capture_output=True, text=True, check=True)
    pid, made, models = json.loads(ended.stdout)
    return pid, Path(made), Path(models)


def test_temporary_files_of_a_process_that_ended_are_removed_by_the_next(tmp_path: Path) -> None:
    """Each has a folder of its own."""
    pid, made, _ = used(tmp_path / "scratch")
    assert made.is_dir() and made.parent == tmp_path / "scratch" / f"tmp-{pid}"
    (made / "file").touch()
    alive = tmp_path / "scratch" / f"tmp-{os.getpid()}"
    alive.mkdir()
    other, _, _ = used(tmp_path / "scratch")
    assert {path.name for path in (tmp_path / "scratch").iterdir()} == {f"tmp-{other}", alive.name}


def test_models_are_looked_for_where_they_were(tmp_path: Path) -> None:
    """Caches move, the hub's models do not."""
    home, caches = tmp_path / "home", tmp_path / "caches"
    default = used(tmp_path / "scratch", HOME=str(home), USERPROFILE=str(home))[2]
    assert default == home / ".cache" / "huggingface" / "hub"
    assert used(tmp_path / "scratch", XDG_CACHE_HOME=str(caches))[2] == caches / "huggingface" / "hub"
    assert used(tmp_path / "scratch", HF_HOME=str(caches))[2] == caches / "hub"
    assert used(tmp_path / "scratch", HF_HUB_CACHE=str(caches))[2] == caches


def test_without_a_place_everything_stays_where_it_was(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "scratch").touch()
    _, made, _ = used(tmp_path / "scratch", TMPDIR=str(tmp_path))
    assert made.parent == tmp_path
