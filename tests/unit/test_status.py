"""`wernicke status` against pages as the daemon writes them, and against servers that are none."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from wernicke_daemon import cli
from wernicke_daemon.client import Exit
from wernicke_daemon.commands.asking import page_address

NONE = {"p50": None, "p95": None, "count": 0}

IDLE: dict[str, Any] = {
    "queue": 0,
    "epoch": 1,
    "restarts": 0,
    "why_down": None,
    "state": "ready",
    "pid": 4711,
    "spare_pid": None,
    "rss_mb": 80.5,
    "gpu_mib": None,
    "queued_ms": NONE,
    "run_ms": NONE,
}
BUSY: dict[str, Any] = IDLE | {
    "queue": 7,
    "epoch": 3,
    "restarts": 2,
    "why_down": "its process ended with -9; started again in 0.5 s",
    "state": "backoff",
    "pid": None,
    "spare_pid": 4713,
    "queued_ms": {"p50": 12.4, "p95": 99.6, "count": 5},
}
SESSION = {"session": "8f14", "attached": False, "received_s": 61.26, "results": 9, "under_way": 2, "paused": True}

WELL: dict[str, Any] = {"state": "ready", "pid": 4711, "restarts": 0, "why_down": None, "doing": "ready"}
HEALTH: dict[str, Any] = {
    "status": "degraded",
    "active_connections": 1,
    "stages": {"ingest": WELL | {"engine": "silero"}, "asr": WELL | {"engine": "pocketsphinx"}},
    "problems": ["the disk is full"],
    "overload": 2,
    "gpu_available": False,
    "vram_free": None,
}
STATS: dict[str, Any] = {
    "active_sessions": 1,
    "total_transcriptions": 9,
    "suppressed": 1,
    "undelivered": 0,
    "dropped_s": 0.5,
    "silence_s": 12.25,
    "lost_s": 0.0,
    "average_processing_time": 0.25,
    "latency_ms": {"p50": 310.0, "p95": 480.5, "count": 9},
    "errors": {},
    "warnings": {"OVERLOADED": 2},
    "late_answers": 0,
    "sessions": [SESSION],
    "stages": {"ingest": IDLE, "asr": BUSY},
    "gpu_stats": None,
}


@contextmanager
def server(pages: dict[str, Any], status: int = 200) -> Iterator[str]:
    """The address of one that serves `pages` by path, with that HTTP status; strings are no JSON."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write((page if isinstance(page, str) else json.dumps(page)).encode(errors="surrogateescape"))

        def log_message(self, format: str, *args: Any) -> None:
            """The test's own output is enough."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()  # ends with a test that fails
        yield f"ws://127.0.0.1:{listening.server_address[1]}/transcribe"
        listening.shutdown()


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrowest that tables have to fit into."""
    monkeypatch.setenv("COLUMNS", "80")


def test_everything_that_one_wants_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    """Stages, the reason of the last death, what is wrong, what is left out, sessions."""
    with server({"/health": HEALTH, "/stats": STATS}) as url:
        assert cli.main(["status", "--url", url]) == Exit.OK
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines()]
    assert ["ingest", "ready", "4711", "1", "0", "-", "silero"] in rows
    assert ["ingest", "0", "-", "-"] in rows
    assert ["asr", "backoff", "-", "3", "2", "4713", "pocketsphinx"] in rows
    assert ["asr", "7", "12", "/", "100", "-"] in rows
    assert ["8f14", "gone", "61.3", "9", "2", "waits"] in rows
    assert f"{url}: degraded, 1 connected" in shown
    assert "last death of asr: its process ended with -9; started again in 0.5 s" in shown
    assert "last death of ingest" not in shown
    assert "problem: the disk is full" in shown
    assert "overload: partials and correction are left out" in shown


def test_replicas_have_rows_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there are several: how many work, and each with its device."""
    one = {
        name: IDLE[name] for name in ("state", "pid", "spare_pid", "epoch", "restarts", "why_down", "rss_mb", "gpu_mib")
    }
    two = one | {"state": "failed", "pid": None, "restarts": 6, "device": "cuda:1"}
    stages = {
        "ingest": IDLE | {"replicas": [one | {"device": ""}]},
        "asr": IDLE | {"replicas": [one | {"device": "cuda:0"}, two]},
    }
    with server({"/health": HEALTH, "/stats": STATS | {"stages": stages}}) as url:
        assert cli.main(["status", "--url", url]) == Exit.OK
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ingest", "ready", "4711", "1", "0", "-", "silero"] in rows
    at = rows.index(["asr", "ready", "1/2", "4711", "1", "0", "-", "pocketsphinx"])
    assert rows[at + 1 : at + 3] == [
        ["0", "cuda:0", "ready", "4711", "1", "0", "-"],
        ["1", "cuda:1", "failed", "-", "1", "6", "-"],
    ]


def test_a_daemon_that_is_not_useful_tells_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Its pages come with 503 while it starts."""
    health = HEALTH | {"status": "starting", "overload": 0, "problems": []}
    with server({"/health": health, "/stats": STATS | {"sessions": []}}, status=503) as url:
        assert cli.main(["status", "--url", url]) == Exit.OK
    shown = capsys.readouterr().out
    assert "starting" in shown and "No sessions." in shown and "overload" not in shown


def test_json_is_both_pages_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is left out for programs."""
    with server({"/health": HEALTH, "/stats": STATS}) as url:
        assert cli.main(["status", "--json", "--url", url]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"health": HEALTH, "stats": STATS}


def test_no_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence that says how to start it."""
    with socket.socket() as taken:  # bound and not listening: nothing else can answer there
        taken.bind(("127.0.0.1", 0))
        assert cli.main(["status", "--url", f"ws://127.0.0.1:{taken.getsockname()[1]}"]) == Exit.UNREACHABLE
    said = capsys.readouterr().err
    assert "is the daemon running? Start it with" in said and said.count("\n") == 1


def test_a_token_that_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence says where to give it."""
    with server({"/stats": {"code": "UNAUTHORIZED", "error": "no"}}, status=401) as url:
        assert cli.main(["status", "--url", url]) == Exit.REFUSED
    assert "--token" in capsys.readouterr().err


@pytest.mark.parametrize(
    "page", ["<html>", "[]", '{"hello": 1}', '{"stages": 1, "sessions": []}', '{"a byte": "\udcff"}']
)
def test_another_server(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it says, it is told apart."""
    with server({"/health": page, "/stats": page}) as url:
        assert cli.main(["status", "--url", url]) == Exit.UNREACHABLE
    assert "is not a Wernicke server" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://localhost", "ws://[::1", "ws://localhost:notaport", "http://"]
)
def test_what_is_no_address(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error."""
    assert cli.main(["status", "--url", url]) == Exit.USAGE
    assert "is not the address of a server" in capsys.readouterr().err


def test_a_certificate_without_tls(capsys: pytest.CaptureFixture[str]) -> None:
    """Who names one believes the line to be secure; it would not be."""
    assert cli.main(["status", "--url", "ws://localhost:1", "--cafile", "some.crt"]) == Exit.USAGE
    assert "wss:// only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ws://host:8000/transcribe", "http://host:8000/stats"),
        ("wss://host/transcribe?language=ja", "https://host/stats"),
        ("http://host:8000", "http://host:8000/stats"),
        ("wss://host/speech/transcribe", "https://host/speech/stats"),
    ],
)
def test_where_the_pages_are(url: str, address: str) -> None:
    """On the same port; a proxy's prefix stays."""
    assert page_address(url, "stats") == address
