"""The chaos benchmark: its short form finds nothing lost, and what it compares would show if something were."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos_check import Found, substance
from benchmarks.chaos_speech import Heard

CHAOS = Path(__file__).resolve().parents[2] / "benchmarks" / "chaos.py"
Results = dict[int, list[dict[str, Any]]]


@pytest.mark.timeout(400)
def test_nothing_is_lost_while_stages_are_killed(tmp_path: Path) -> None:
    """Kills at random moments, as many of each stage: every result is there, once, as in an undisturbed round."""
    file = tmp_path / "figures.json"
    command = [sys.executable, str(CHAOS), "--kills", "8", "--clients", "3", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, timeout=380)
    assert done.returncode == 0, done.stderr + done.stdout
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert (figures["kills"], figures["replicas"]) == (8, 1)
    assert figures["utterances"] > 0
    for none in ("lost", "duplicated", "changed", "gaps", "dropped_connections", "hit_twice", "other_deaths"):
        assert figures[none] == 0
    assert set(figures["recovery_ms"]) == {"ingest", "asr", "diarization", "correction"}
    assert all(0 < times["p50"] <= times["p99"] for times in figures["recovery_ms"].values())
    assert figures["restart_settings"]["restarts_max"]
    assert "stable_after_s" in done.stdout


def final(sequence: int, **changes: Any) -> dict[str, Any]:
    segments = [{"start": 0.0, "end": 1.0, "text": "0-16000", "speaker": "Speaker_00"}]
    return {"type": "final", "sequence": sequence, "text": "0-16000", "segments": segments, "warnings": [], **changes}


def heard(results: Results, **changes: Any) -> Heard:
    return Heard("session", results, **changes)


def lose(results: Results) -> None:
    del results[2]


def double(results: Results) -> None:
    results[2].append(final(2))


def invent(results: Results) -> None:
    results[3] = [final(3)]


def rename(results: Results) -> None:
    results[2] = [final(2, segments=[{"start": 0.0, "end": 1.0, "text": "0-16000", "speaker": "Speaker_01"}])]


def shift(results: Results) -> None:
    results[2] = [final(2, text="1-16000")]


def fail(results: Results) -> None:
    results[2] = [{"type": "error", "sequence": 2, "code": "TRANSCRIPTION_FAILED"}]


@pytest.mark.parametrize(
    ("spoil", "lost", "duplicated", "changed"),
    [(lose, 1, 0, 0), (double, 0, 1, 0), (invent, 0, 1, 0), (rename, 0, 0, 1), (shift, 0, 0, 1), (fail, 0, 0, 1)],
)
def test_what_differs_from_the_undisturbed_round_is_counted(
    spoil: Callable[[Results], None], lost: int, duplicated: int, changed: int
) -> None:
    """Missing, twice, more than there should be, another speaker, another range, an error in its place."""
    results: Results = {1: [final(1)], 2: [final(2)]}
    spoil(results)
    found = Found()
    found.compare(heard(results), heard({1: [final(1)], 2: [final(2)]}), but=set())
    assert (found.lost, found.duplicated, found.changed) == (lost, duplicated, changed)


def test_an_utterance_that_was_hit_twice_is_counted_apart() -> None:
    """It may have been given up, as promised."""
    found = Found()
    found.compare(heard({}), heard({1: [final(1)]}), but={("session", 1)})
    assert (found.utterances, found.lost) == (0, 0)


def test_connections_and_gaps_are_counted() -> None:
    """A client that was cut off and audio that came back as no text are no success, however good the rest."""
    found = Found()
    found.compare(heard({}, dropped=True, gaps=2), heard({}), but=set())
    assert (found.dropped_connections, found.gaps) == (1, 2)


def test_times_and_names_of_the_session_do_not_matter() -> None:
    """Two runs never agree in those."""
    assert substance(final(1, latency_ms=5, buffer_id="a")) == substance(final(1, latency_ms=9, buffer_id="b"))
