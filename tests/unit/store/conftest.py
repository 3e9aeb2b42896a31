"""Fixtures that several files here share."""

from pathlib import Path

import pytest

from wernicke_daemon.records import transcript_file, writer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "transcripts.db"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a human's patience."""
    monkeypatch.setattr(writer, "RETRY_EVERY_S", 0.02)
    monkeypatch.setattr(transcript_file, "LOCK_WAIT_S", 0.02)
