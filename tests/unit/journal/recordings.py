"""Audio for the journal, and what is found of it on the disk."""

import os
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import Leftover, SessionMeta
from wernicke_daemon.utterances.context import Remembered

ROOT = Path(__file__).parents[3]
NOTHING = Remembered()
META = SessionMeta(language="ja", glossary=("議事録",), wall_start=1_700_000_000.0, words=False, next_sequence=1)
SMALL = 50
"""Samples in a segment where a test needs many of them."""

NO_FSYNC = mock.patch.object(os, "fsync")
"""For tests that would make hundreds: where one takes 0.1 s, they would take minutes."""


def ramp(start: int, end: int) -> NDArray[np.float32]:
    """Samples whose values are their own numbers (exact in float32 up to 2**24)."""
    return np.arange(start, end, dtype=np.float32)


def left_in(directory: Path) -> list[Leftover]:
    """What the next start finds; the journal is let go of again at once."""
    journal = Journal(directory, 100)
    journal.close()
    assert journal.problem is None
    return journal.leftover()


def samples_of(leftover: Leftover) -> NDArray[np.float32]:
    """Of one without holes."""
    assert leftover.missing_s == 0.0
    samples = np.concatenate([samples for _, samples in leftover.pieces()])
    assert samples.dtype == np.float32
    return samples


def runs_of(leftover: Leftover) -> list[tuple[int, int]]:
    """The ranges between its holes; every sample is in its place."""
    runs: list[tuple[int, int]] = []
    for start, samples in leftover.pieces():
        np.testing.assert_array_equal(samples, ramp(start, start + len(samples)))
        begun = runs.pop()[0] if runs and runs[-1][1] == start else start
        runs.append((begun, start + len(samples)))
    assert sum(end - start for start, end in runs) == round(leftover.seconds * 16_000)
    return runs


def segments(directory: Path, session: str = "s") -> list[int]:
    """First samples of the segments on disk."""
    return sorted(int(path.stem) for path in (directory / session).glob("*.f32"))


class StalledDisk:
    """Stands in for os.fsync: waits until it is let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

    def __call__(self, descriptor: int) -> None:
        self.reached.set()
        self.go.wait(20)


def failures(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["session"], line["reason"]) for line in lines if line["event"] == "journal_failed"]


def tries(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts how often the journal has tried again."""
    tried = threading.Semaphore(0)
    try_again = journal._try_again

    def counted() -> None:
        try_again()
        tried.release()

    monkeypatch.setattr(journal, "_try_again", counted)
    return tried


def recoveries(lines: list[Any]) -> int:
    return sum(line["event"] == "journal_recovered" for line in lines)
