"""/metrics and the tuning page as the web process serves them."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from tests.unit.test_metrics import HEALTH, STATS
from tests.unit.tuning.log_lines import BEGAN, line, utterance
from wernicke_daemon.config.schema import Config, RuntimeSettings, SecuritySettings
from wernicke_daemon.web.app import create_app
from wernicke_daemon.web.front import FrontAway
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.web.tuning.routes import FRESH_S, Figures
from wernicke_daemon.wire import tokens

TOKEN = "a" * 64
EVIL = "<script>alert(1)</script>"


class Front:
    """In place of the front. away: it does not answer."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def page(self, path: str) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise FrontAway("gone")
        page: dict[str, Any] = msgspec.to_builtins(STATS if path == "/stats" else HEALTH)
        return page

    async def close(self) -> None:
        pass


@contextlib.contextmanager
def browsing(folder: Path, clients: tuple[str, ...] = ()) -> Iterator[tuple[TestClient, Front]]:
    config = Config(runtime=RuntimeSettings(data_dir=str(folder)), security=SecuritySettings(clients=clients))
    app, front = create_app(Setup(config, "http://127.0.0.1:9", "127.0.0.1", 8001, "", "secret")), Front()
    with TestClient(app, base_url="http://127.0.0.1:8001", follow_redirects=False) as client:
        app.state.front = front
        yield client, front


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Of the last minutes."""
    file = tmp_path / "logs" / "wernicke.jsonl"
    file.parent.mkdir()
    ago = time.time() - BEGAN - 300
    lines = [utterance(ago + n, left_out={EVIL: 1}) for n in range(30)]
    file.write_bytes(b"".join([*lines, line("stage_died", ago, stage="asr", reason=EVIL)]))
    return file


def test_a_scrape(tmp_path: Path) -> None:
    """Also while the front is away, as that is worth knowing."""
    with browsing(tmp_path) as (client, front):
        answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert "wernicke_finals_total 7.0" in answer.text
        front.away = True
        client.app.state.figures = Figures(front)  # type: ignore[attr-defined,arg-type]  # as a second later
        answer = client.get("/metrics")
        assert (answer.status_code, "wernicke_up 0.0" in answer.text) == (200, True)


def test_many_who_look_cost_the_front_no_more_than_one(tmp_path: Path) -> None:
    """What it said is kept for a second."""
    with browsing(tmp_path) as (client, front):
        began = time.monotonic()
        while time.monotonic() - began < 0.2:
            client.get("/metrics")
        assert front.asked == 2 or time.monotonic() - began > FRESH_S


def test_strangers_get_nothing(tmp_path: Path, log: Path) -> None:
    """Where tokens are set; Prometheus brings one."""
    with browsing(tmp_path, (tokens.hash_of(TOKEN),)) as (client, _):
        for path in ("/metrics", "/tuning", "/tuning/now", "/tuning/report.html"):
            assert client.get(path).status_code == 401, path
        assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_page(tmp_path: Path, log: Path) -> None:
    """State of the stages, and the report on the log; what a log has for names is text; no style that the policy of
    pages forbids."""
    with browsing(tmp_path) as (client, _):
        text = client.get("/tuning", headers={"Accept-Language": "ja"}).text
    assert "チューニング" in text and "動作中" in text
    assert text.count("<svg") >= 6
    assert EVIL not in text and "&lt;script&gt;alert" in text
    assert "style=" not in text and "<style" not in text


def test_without_log_and_front(tmp_path: Path) -> None:
    """There is a page, and it says what is wrong."""
    with browsing(tmp_path) as (client, front):
        front.away = True
        text = client.get("/tuning").text
    assert "There is no log at" in text
    assert "does not answer at the moment" in text


def test_the_report_as_a_file(tmp_path: Path, log: Path) -> None:
    """As the command writes it."""
    with browsing(tmp_path) as (client, _):
        answer = client.get("/tuning/report.html?since=15m")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.text.startswith("<!doctype html>") and "<style>" in answer.text
