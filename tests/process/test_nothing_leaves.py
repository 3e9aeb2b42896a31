"""Nothing leaves the machine, and nothing is written outside of the data directory: the daemon and its commands in a
network of their own (tests/quarantine.py), used as they are meant to be, for longer than a library waits to report."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from stages import offline
from stages.ingest.vad import SileroVad
from tests import wire
from tests.ollama_server import OllamaServer, Place
from tests.process.conftest import command
from tests.quarantine import Findings, is_private, watched
from tests.tiny_whisper import TEXT, build_tiny_whisper
from tests.whole_use import ELSEWHERE, LANGUAGE_MODEL, REPORTS_WITHIN_S, use_everything
from tests.wine import UNDER_WINE, needs_whisper

LANGUAGE_MACHINE = "192.0.2.7"
"""Of a block that belongs to nobody (RFC 5737)."""

needs_private = pytest.mark.skipif(not is_private(), reason="needs Linux, `ip`, and leave to make a network namespace")

Use = Callable[[Path], None]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Use, Future[Findings]]]:
    """All side by side, as each of them waits most of its time."""
    uses: list[Use] = [play_the_demo]
    if not UNDER_WINE:
        uses.append(transcribe_with_whisper)
    if is_private():
        uses += [leave, leave_confined, reach_the_language_model]
    folders = {use: tmp_path_factory.mktemp(use.__name__) for use in uses}
    if transcribe_with_whisper in folders:
        build_tiny_whisper(folders[transcribe_with_whisper] / "whisper")
    with ThreadPoolExecutor(len(uses)) as pool:
        yield {use: pool.submit(watched, folder, use) for use, folder in folders.items()}


# --- the daemon ------------------------------------------------------------------------------------


def play_the_demo(work: Path) -> None:
    ended = subprocess.run(command("--demo"), capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0 and " error rate" in ended.stdout, ended.stdout + ended.stderr


def test_nothing_leaves_in_a_demo(runs: dict[Use, Future[Findings]]) -> None:
    """Silero, pocketsphinx, onnx: nearly a minute."""
    assert runs[play_the_demo].result() == ([], [])


def transcribe_with_whisper(work: Path) -> None:
    with OllamaServer([LANGUAGE_MODEL], corrections={TEXT: f"{TEXT}。"}) as ollama:
        text = f"""
        asr = {{ engine = "faster_whisper", model = "{(work.parent / "whisper").as_posix()}", language = "ja" }}
        alignment = {{ engine = "whisper" }}
        diarization = {{ engine = "onnx" }}
        correction = {{ engine = "ollama" }}
        llm = {{ host = "{ollama.url}" }}
        """
        engines = {"asr": "faster_whisper", "diarization": "onnx", "correction": "ollama"}
        use_everything(work, text, wire.CLIP, engines, ollama)


@needs_whisper
def test_nothing_leaves_with_whisper_and_a_language_model(runs: dict[Use, Future[Findings]]) -> None:
    """faster-whisper, and correction by an Ollama server, even where that sends requests on to another machine;
    `wernicke` as transcriber, for status, transcripts and doctor."""
    assert runs[transcribe_with_whisper].result() == ([], [])


# --- what holds a stage back, and the watch itself -------------------------------------------------


def attempts() -> list[Callable[[], object]]:
    """Ways out that libraries take."""
    return [
        lambda: socket.create_connection((ELSEWHERE, 443)),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"report", (ELSEWHERE, 123)),
        lambda: socket.getaddrinfo("looked-up.example.", 443),
        lambda: urllib.request.urlopen("https://proxied.example", timeout=5),
        lambda: asyncio.run(asyncio.open_connection(ELSEWHERE, 8443)),
    ]


def leave(work: Path) -> None:
    for attempt in attempts():
        try:
            attempt()
        except OSError:
            continue
    for place in ("HOME", "TMPDIR"):
        (Path(os.environ[place]) / "id").touch()


@needs_private
def test_the_watch_sees_what_leaves(runs: dict[Use, Future[Findings]]) -> None:
    """Connections, datagrams, look-ups, what is asked of a proxy; and files."""
    assert runs[leave].result() == (
        [
            "TCP: 192.0.2.1 port 443",
            "TCP: 192.0.2.1 port 8443",
            "UDP: 192.0.2.1 port 123",
            "look-up: looked-up.example",
            "proxy: CONNECT proxied.example:443",
        ],
        ["home/id", "tmp/id"],
    )


def leave_confined(work: Path) -> None:
    """onnxruntime stands for native code that reports and was not told not to."""
    offline.confine()
    del offline.ENVIRONMENT["ORT_DISABLE_TELEMETRY"], os.environ["ORT_DISABLE_TELEMETRY"]
    SileroVad(-60.0).load()
    for attempt in attempts():
        with pytest.raises(OSError):
            attempt()
    time.sleep(REPORTS_WITHIN_S)


@needs_private
def test_a_stage_has_no_way_out_for_libraries_nobody_knows(runs: dict[Use, Future[Findings]]) -> None:
    """Neither for Python code nor for native code that heeds proxy variables, whatever the library is called."""
    assert runs[leave_confined].result().left == []


CORRECTION = """
import sys, socket
from ipc.settings import LlmSettings
from stages import offline
from stages.correction.ollama_server import ModelServer
offline.confine()
server = ModelServer(LlmSettings(host=sys.argv[1], model=sys.argv[2]))
server.connect(patience_s=0.0)
server.close()
try:
    socket.create_connection(("192.0.2.1", 443))
except PermissionError:
    sys.exit()
sys.exit("another machine was reached")
"""


def reach_the_language_model(work: Path) -> None:
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("0.0.0.0", 53))
    threading.Thread(target=answer_queries, args=(names,), daemon=True).start()
    place = Place("0.0.0.0")
    with OllamaServer([LANGUAGE_MODEL], place=place):
        url = f"http://ollama.example:{place.address[1]}"
        ended = subprocess.run(
            [sys.executable, "-c", CORRECTION, url, LANGUAGE_MODEL], capture_output=True, text=True, timeout=60
        )
    assert ended.returncode == 0, ended.stderr


def answer_queries(names: socket.socket) -> None:
    """Every name is the language model's machine's (RFC 1035: flags, counts, the question, one answer that points to
    it); there are no IPv6 addresses."""
    while True:
        query, client = names.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        found = query[end - 4 : end - 2] == b"\0\1"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(LANGUAGE_MACHINE)
        counts = b"\0\1" + (b"\0\1" if found else b"\0\0") + bytes(4)
        names.sendto(query[:2] + b"\x81\x80" + counts + query[12:end] + (record if found else b""), client)


@needs_private
def test_the_language_model_may_be_on_another_machine(runs: dict[Use, Future[Findings]]) -> None:
    """The one that `llm.host` names, and no other."""
    left = runs[reach_the_language_model].result().left
    assert {target.rpartition(" port ")[0] or target for target in left} == {
        "look-up: ollama.example",
        f"TCP: {LANGUAGE_MACHINE}",
    }
