"""`wernicke doctor --ray`: what each node has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.process.conftest import ROOT, free_port
from tests.ray.nodes import Nodes

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

COMMAND = [sys.executable, "-c", "from wernicke_daemon.console_script import main; main()", "doctor", "--ray", "--json"]


def checks(directory: Path, text: str) -> list[dict[str, Any]]:
    """Of Ray and its nodes."""
    file = directory / "config.toml"
    file.write_text(f'[runtime]\nprofile = "cpu"\n{text}', encoding="utf-8")
    command = [*COMMAND, "--config", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=200)
    return [check for check in json.loads(done.stdout)["checks"] if check["name"].startswith("Ray")]


def test_each_node_says_which_model_it_lacks(nodes: Nodes, tmp_path: Path) -> None:
    """Of stages that are to run there alone."""
    text = f'[asr]\nengine = "faster_whisper"\nmodel = "large-v1"\n[ray]\naddress = "{nodes.address}"\n'
    here = checks(tmp_path, text)
    there = checks(tmp_path, f"{text}[ray.stages]\nasr = 1\n")
    assert len(here) == len(there) == 3
    assert all(node["ok"] for node in here)
    assert not any(node["ok"] for node in there)
    assert all("large-v1" in node["finding"] and "wernicke models pull" in node["fix"] for node in there)


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    [check] = checks(tmp_path, f'[ray]\naddress = "127.0.0.1:{free_port()}"\n')
    assert not check["ok"] and "can't be reached" in check["finding"] and "[ray] address" in check["fix"]
