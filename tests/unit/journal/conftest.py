"""Fixtures that several files here share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.journal.recordings import SMALL
from wernicke_daemon.records import journal as module
from wernicke_daemon.records import journal_files
from wernicke_daemon.records.journal import Journal


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_files, "FILE_SAMPLES", SMALL)


@pytest.fixture
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_EVERY_S", 0.01)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path, 100)
    yield made
    made.close()
