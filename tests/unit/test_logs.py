"""The log's file: when it is begun anew, and what another program that has it open changes."""

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path
from unittest import mock

import pytest
import structlog

from wernicke_daemon.config.schema import LoggingSettings
from wernicke_daemon.observability import logs

LIMIT = 1000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few lines."""
    file = logs._file

    def limited(settings: LoggingSettings, path: Path) -> logging.Handler:
        handler = file(settings, path)
        assert isinstance(handler, RotatingFileHandler)
        handler.maxBytes = LIMIT
        return handler

    monkeypatch.setattr(logs, "_file", limited)


def write(path: Path, first: int, count: int) -> None:
    """Numbered lines of about a hundred bytes."""
    listener = logs.start(LoggingSettings(console=False, backups=2), path)
    for number in range(first, first + count):
        structlog.get_logger().info("line", number=f"{number:030}")
    listener.stop()


def numbers(path: Path) -> dict[str, list[int]]:
    """What each file holds."""
    return {
        file.name: [int(line.partition('"number": "')[2][:30]) for line in file.read_text("utf-8").splitlines()]
        for file in path.parent.iterdir()
    }


def test_old_files_are_kept_up_to_a_number(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, 0, 60)
    found = numbers(path)
    assert set(found) == {"log", "log.1", "log.2"}
    assert max(file.stat().st_size for file in tmp_path.iterdir()) <= LIMIT
    kept = found["log.2"] + found["log.1"] + found["log"]
    assert kept == list(range(kept[0], 60))


def test_a_file_that_can_not_be_renamed_grows_on(tmp_path: Path) -> None:
    """As on Windows, while another program has it open. Then all is as before."""
    path = tmp_path / "log"
    write(path, 0, 30)
    before = numbers(path)
    rename = os.rename

    def refused(source: str | Path, target: str | Path) -> None:
        if Path(source) == path:
            raise PermissionError(13, "it is being used by another process")
        rename(source, target)

    with mock.patch.object(os, "rename", refused), mock.patch.object(os, "replace", refused):
        write(path, 30, 30)
    held = numbers(path)
    assert held == {**before, "log": before["log"] + list(range(30, 60))}
    write(path, 60, 1)
    assert numbers(path) == {"log": [60], "log.1": held["log"], "log.2": before["log.1"]}
