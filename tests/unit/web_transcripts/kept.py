"""Kept transcripts, and the web process that serves them."""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from wernicke_daemon.config.schema import Config, RuntimeSettings, SecuritySettings
from wernicke_daemon.web.app import create_app
from wernicke_daemon.web.front import NotDone
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.web.summaries.making import Summaries

TOKEN = "a" * 64
ODD = '<script>alert("1")</script><img src=x onerror=alert(2)> & "quotes" \'n\' {{ 7*7 }}'
WHEN = datetime(2026, 1, 1, 3, 0, 11, tzinfo=UTC).astimezone().strftime("%Y%m%d-%H%M")
BEGUN = 1_767_236_400.0  # 2026-01-01T03:00:00Z


def message(sequence: int, text: str, speaker: str | None, start: float, **more: Any) -> str:
    segment = {"start": 0.0, "end": 1.5, "text": text, "speaker": speaker, "original_text": "きょう"}
    place = {"start": start, "end": start + 2}
    final = {"type": "final", "sequence": sequence, "language": "ja", "timestamp_range": place, "segments": [segment]}
    return json.dumps(final | {"wall_start": "2026-01-01T03:00:12.480Z"} | more)


def add(database: Any, session: str, sequence: int, text: str, kind: str = "final") -> None:
    row = (session, sequence, BEGUN, kind, text)
    database.execute("INSERT INTO result (session, sequence, kept, kind, message) VALUES (?, ?, ?, ?, ?)", row)


class Edits:
    """In place of the front."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refusal: str | None = None
        self.busy = False

    async def edit(self, asked: dict[str, Any]) -> None:
        if self.refusal:
            raise NotDone(self.refusal)
        self.asked.append(asked)

    async def page(self, path: str) -> dict[str, Any]:
        """/health, of a daemon that works on somebody's speech or does not."""
        return {"behind_s": 1.5 if self.busy else 0.0}

    async def close(self) -> None:
        pass


def setup_of(folder: Path, clients: tuple[str, ...] = ()) -> Setup:
    config = Config(runtime=RuntimeSettings(data_dir=str(folder)), security=SecuritySettings(clients=clients))
    return Setup(config, "http://127.0.0.1:9", "127.0.0.1", 8001, "", "secret")


@contextlib.contextmanager
def browsing(setup: Setup) -> Iterator[tuple[TestClient, Edits]]:
    app, edits = create_app(setup), Edits()
    with TestClient(app, base_url="http://127.0.0.1:8001", follow_redirects=False) as client:
        app.state.front = edits
        app.state.summaries = Summaries(setup, edits)  # type: ignore[arg-type]
        yield client, edits


class Tags(HTMLParser):
    """What a page is made of, as a browser reads it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts, self.scripts, self.handlers = "", list[str | None](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += [dict(attrs).get("src")] if tag == "script" else []
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts += data
