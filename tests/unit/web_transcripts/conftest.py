"""Fixtures that both files here share."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.unit.web_transcripts.kept import BEGUN, ODD, add, browsing, message, setup_of
from wernicke_daemon.records import search_index, transcript_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three sessions, of which the second goes on for the first."""
    path = tmp_path / transcript_file.FILE_NAME
    with contextlib.closing(transcript_file.open_for_writing(path)) as database:
        with database:
            for number, (session, continues) in enumerate((("aa01", None), ("bb02", "aa01"), ("cc03", None))):
                begun = BEGUN + 3600 * number
                row = (session, begun, begun, begun + 60, "ja", continues)
                database.execute(
                    "INSERT INTO session (id, begun, started, ended, language, continues) VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                )
            add(database, "aa01", 1, message(1, "来年度の予算です。", "田中", 1.0))
            add(database, "aa01", 2, message(2, f"予算と{ODD}", ODD, 5.0))
            add(database, "aa01", 3, '{"type": "error", "sequence": 3}', "error")
            add(database, "bb02", 1, message(1, "続きの予算です。", "田中", 1.0))
        index = search_index.SearchIndex(tmp_path / search_index.FILE_NAME)
        while index.step(database) is not None:
            pass
        index.close()
    return path


@pytest.fixture
def browser(file: Path) -> Iterator[TestClient]:
    with browsing(setup_of(file.parent)) as (client, _):
        yield client
