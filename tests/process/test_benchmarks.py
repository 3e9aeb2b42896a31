"""The benchmarks run from the command line and write their figures; how good the figures are is not tested here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import Figure

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(tmp_path: Path, name: str, *options: str) -> tuple[dict[str, Any], str]:
    """The JSON that the benchmark wrote, and its table."""
    file = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS / name), "--json", str(file), *options]
    env = os.environ | {"PYTHONUTF8": "1"}  # into a pipe Windows writes in its code page
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, timeout=250, env=env)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return json.loads(file.read_text(encoding="utf-8")), done.stdout


@pytest.mark.benchmarks
def test_overlap_measures_throughput_and_added_time(tmp_path: Path) -> None:
    """Real stages serve utterances at once and one by one; every wanted figure is in the JSON and in the table."""
    figures, table = run(tmp_path, "overlap.py", "--quick")
    assert figures["ideal_share"] > 0
    assert figures["versus_serial"] > 0
    assert figures["added_ms"]["p50"] <= figures["added_ms"]["p99"]
    assert figures["added_ms"]["p50"] > 0, "it can't be quicker than the engines themselves"
    assert figures["utterances"] == {"at_once": 8, "one_by_one": 25}
    assert figures["machine"]["cpus"]
    assert "share of the ideal" in table
    assert ">= 0.95" in table


@pytest.mark.benchmarks
def test_ingest_measures_cpu_by_number_of_streams(tmp_path: Path) -> None:
    """Clients in another process stream in real time and get finals; the cost of front and stage is told apart."""
    figures, table = run(tmp_path, "ingest.py", "--quick")
    assert set(figures["streams"]) == {"1", "5"}
    for cost in figures["streams"].values():
        assert cost["front"] > 0
        assert cost["ingest"] > 0
        assert cost["total"] == pytest.approx(cost["front"] + cost["ingest"], abs=0.002)
        assert cost["finals"] > 0
        assert cost["late_ms"] >= 0
        assert 0 < cost["vad_lag_p50_ms"] <= cost["vad_lag_p99_ms"]
    assert "front" in table


@pytest.mark.benchmarks
def test_latency_compares_finals_with_and_without_early_work(tmp_path: Path) -> None:
    """Whole daemons on the same speech in real time: every wanted figure is in the JSON, and of the right order."""
    figures, table = run(tmp_path, "latency.py", "--quick")
    for found in (figures, figures["faster"]):
        assert found["utterances"] > 0 and found["unmatched"] == 0
        assert found["final_after_trigger_ms"]["p50"] < found["without_early_ms"]["p50"] < found["serial_ms"]["p50"]
        assert found["first_text_s"]["p50"] < found["first_text_without_s"]["p50"]
        assert found["phrase_text_s"]["p50"] <= found["phrase_text_s"]["p95"]
        assert isinstance(found["never_later"], bool)
    assert figures["work_ratio"] > 0
    assert figures["sessions"]["5"]["utterances"] >= 5
    assert "card: final, p50" in table


@pytest.mark.benchmarks
def test_starved_compares_a_busy_machine_with_a_quiet_one(tmp_path: Path) -> None:
    """Every turn has its text beside programs that take the CPU, and no stage is replaced: else the run fails."""
    figures, table = run(tmp_path, "starved.py", "--quick")
    for condition in ("quiet", "equal"):
        found = figures[condition]
        assert found["turns"] == 2 and found["without_text"] == found["replaced"] == 0
        assert found["health_codes"] == [200]
        assert 0 < found["final_s"]["p50"] <= found["final_s"]["max"]
    assert "stages told to be slow" in table


@pytest.mark.benchmarks
def test_files_compares_a_live_session_alone_with_one_beside_files(tmp_path: Path) -> None:
    """The same is said both times; files get on meanwhile, and none ends in an error."""
    figures, table = run(tmp_path, "files.py", "--rounds", "1", "--seconds", "15")
    assert figures["utterances"] > 0 and figures["files that were answered with an error, or not at all"] == 0
    assert figures["trigger to final p95, beside to alone"] > 0
    assert figures["audio of a file done in a second, alone"] > 1
    assert "<= 1.1" in table


@pytest.mark.benchmarks
def test_scaling_compares_numbers_of_replicas(tmp_path: Path) -> None:
    """Each number of them beside one, and what the front takes for real clients."""
    figures, table = run(tmp_path, "scaling.py", "--quick", "--replicas", "1", "3", "--streams", "3")
    one, three = figures["replicas"]["1"], figures["replicas"]["3"]
    assert three["utterances"] > one["utterances"] > 0
    assert 0 < one["latency_p50_ms"] <= one["latency_p95_ms"]
    assert three["finals_per_s"] > 1.5 * one["finals_per_s"], "the engines sleep: it takes no CPU to have three"
    assert figures["front"]["finals"] == figures["front"]["expected"] > 0 and figures["front"]["front"] > 0
    assert ">= 0.9" in table and "<= 1.1" in table


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure(0.94, at_least=0.95), "missed"),
        (Figure(0.95, at_least=0.95), "reached"),
        (Figure(21, "ms", at_most=20), "missed"),
        (Figure(20, "ms", at_most=20), "reached"),
        (Figure(1.0), ""),
    ],
)
def test_figure_is_judged_by_what_is_wanted(figure: Figure, verdict: str) -> None:
    """A limit is reached when it is met exactly; a figure without a limit is only told."""
    assert figure.cells[2] == verdict
