"""Summaries on the pages and over HTTP: asked for, followed, cancelled, shown; live speech goes first. The process that
makes them is a real one, and the language model's server speaks Ollama's API."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from ipc.settings import LlmSettings
from ipc.summary import Line, Work
from tests.ollama_server import MODEL, OllamaServer
from tests.unit.web_transcripts.kept import ODD, TOKEN, Edits, Tags, add, browsing, message, setup_of
from tests.waiting import eventually_sync
from wernicke_daemon.records import stored_sessions, transcript_file
from wernicke_daemon.web.front import FrontAway
from wernicke_daemon.web.summaries import way
from wernicke_daemon.web.summaries.run import Run
from wernicke_daemon.web.summaries.way import QUIET_S, Quiet, is_busy
from wernicke_daemon.wire import tokens

Json = dict[str, Any]
SUMMARY = "/sessions/aa01/summary"


def answering(asked: Json) -> Json:
    """Lines of the transcript, which is of two sessions: 1 来年度の予算です。, 2 odd text, 3 続きの予算です。"""
    decided = {"kind": "decision", "text": "来年度の予算と、続きの予算。", "lines": [1, 3], "who": "", "until": ""}
    odd = {"kind": "task", "text": f"予算と{ODD}", "lines": [2], "who": ODD, "until": "予算"}
    return {"sentences": [decided, odd, {**decided, "lines": []}]}


@pytest.fixture
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        server.summarize = answering
        yield server


@pytest.fixture
def asking(file: Path, ollama: OllamaServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TestClient, Edits]]:
    """Pages of those transcripts, and the front, at which nobody speaks."""
    monkeypatch.setattr(way, "QUIET_S", 0.0)
    setup = setup_of(file.parent)
    setup = replace(setup, config=replace(setup.config, llm=replace(setup.config.llm, host=ollama.url)))
    with browsing(setup) as (client, front):
        yield client, front


def state(client: TestClient) -> Json:
    found: Json = client.get(SUMMARY).json()
    return found


def made(client: TestClient) -> Json:
    assert client.post(SUMMARY).json()["problem"] is None
    eventually_sync(lambda: state(client)["making"] is None)
    return state(client)


def test_a_summary_is_asked_for_and_shown(asking: tuple[TestClient, Edits]) -> None:
    """With the lines of each sentence, marked as the model's; for programs the same."""
    client, _ = asking
    assert state(client) == {"session": "aa01", "summary": None, "outdated": False, "making": None, "problem": None}
    assert 'id="summary"' in (before := client.get("/transcripts/aa01").text) and MODEL not in before
    found = made(client)["summary"]
    assert found["model"] == MODEL and found["dropped"] == 1 and found["made"].endswith("Z")
    places = [(line["session"], line["sequence"]) for line in found["statements"][0]["lines"]]
    assert places == [("aa01", 1), ("bb02", 1)]
    page = client.get("/transcripts/bb02", headers={"Accept-Language": "en"}).text
    assert f"Made by the language model {MODEL}" in page and "Left out, as the lines do not say so: 1" in page
    assert "要約" in client.get("/transcripts/aa01", headers={"Accept-Language": "ja"}).text
    for link in re.findall(r'<a class="time" href="#([^"]+)"', page):
        assert f'id="{link}"' in page


def test_what_the_model_writes_is_text(asking: tuple[TestClient, Edits]) -> None:
    """No markup of it runs."""
    client, _ = asking
    assert made(client)["summary"]["statements"][1]["text"] == f"予算と{ODD}"
    page = Tags(client.get("/transcripts/aa01").text)
    assert page.texts.count(ODD) > 3 and page.handlers == []
    assert all(source is not None and source.startswith("/static/") for source in page.scripts)


def test_live_speech_goes_first(asking: tuple[TestClient, Edits], ollama: OllamaServer) -> None:
    """A request under way is given up as soon as somebody's words wait for their results, and is made again."""
    client, front = asking
    front.busy = True
    assert client.post(SUMMARY).json()["making"]["step"] in ("queued", "speech")
    eventually_sync(lambda: state(client)["making"]["step"] == "speech")
    assert ollama.requests == []
    ollama.next_modes = ["good", "hang"]
    front.busy = False
    eventually_sync(ollama.chats)
    assert ollama.given_up == [] and state(client)["making"]["step"] == "reading"
    front.busy = True
    eventually_sync(lambda: ollama.given_up == ["/api/chat"])
    eventually_sync(lambda: state(client)["making"]["step"] == "speech")
    front.busy = False
    eventually_sync(lambda: state(client)["making"] is None)
    assert state(client)["summary"]["dropped"] == 1 and len(ollama.chats()) == 2


def test_what_is_said_while_it_waits_is_in_it(asking: tuple[TestClient, Edits], file: Path) -> None:
    """Who asks for it before the last words gets all of the meeting."""
    client, front = asking
    front.busy = True
    client.post(SUMMARY)
    eventually_sync(lambda: state(client)["making"]["step"] == "speech")
    with contextlib.closing(transcript_file.open_for_writing(file)) as database, database:
        add(database, "bb02", 9, message(9, "あとの発言です。", "田中", 50.0))
    front.busy = False
    eventually_sync(lambda: state(client)["making"] is None)
    found = state(client)
    assert found["summary"] is not None and not found["outdated"]


def test_what_is_deleted_while_it_waits_is_not_read(
    asking: tuple[TestClient, Edits], file: Path, ollama: OllamaServer
) -> None:
    client, front = asking
    front.busy = True
    client.post(SUMMARY)
    eventually_sync(lambda: state(client)["making"]["step"] == "speech")
    for session in ("aa01", "bb02"):
        stored_sessions.delete(file, session)
    making = client.app.state.summaries
    front.busy = False
    eventually_sync(lambda: making.progress("aa01") is None)
    assert "There is no session aa01" in making.problem("aa01") and ollama.requests == []


def test_a_front_that_does_not_answer_is_busy(
    asking: tuple[TestClient, Edits], ollama: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows then whether somebody speaks."""
    client, front = asking

    async def away(path: str) -> Json:
        raise FrontAway("it starts")

    monkeypatch.setattr(front, "page", away)
    client.post(SUMMARY)
    eventually_sync(lambda: state(client)["making"]["step"] == "speech")
    assert ollama.requests == []


def test_what_is_work_for_live_speech_and_how_long_it_must_be_quiet() -> None:
    """Between two sentences a summary does not begin."""
    assert is_busy({"stages": {"asr": {"queue": 0}, "correction": {"queue": 1}}, "behind_s": 0.0})
    assert is_busy({"stages": {"asr": {"queue": 1}}})
    assert not is_busy({"stages": {"ingest": {"queue": 1}, "asr": {"queue": 0}}, "behind_s": 0.0})
    quiet = Quiet()
    looks = [(False, 0.0), (False, QUIET_S - 0.1), (True, QUIET_S), (False, QUIET_S + 1), (False, 2 * QUIET_S + 1)]
    assert [quiet.look(busy, now) for busy, now in looks] == [False, False, False, False, True]


def test_it_can_be_cancelled(asking: tuple[TestClient, Edits], ollama: OllamaServer) -> None:
    """The request is closed; an earlier summary stays."""
    client, _ = asking
    kept = made(client)["summary"]
    ollama.next_modes = ["good", "hang"]
    client.post(SUMMARY)
    eventually_sync(lambda: len(ollama.chats()) == 2)
    client.post(f"{SUMMARY}/cancel")
    eventually_sync(lambda: state(client)["making"] is None)
    eventually_sync(lambda: ollama.given_up == ["/api/chat"])
    assert state(client) == {"session": "aa01", "summary": kept, "outdated": False, "making": None, "problem": None}


def test_a_request_about_what_is_deleted_is_closed(asking: tuple[TestClient, Edits], ollama: OllamaServer) -> None:
    client, _ = asking
    ollama.next_modes = ["good", "hang"]
    client.post(SUMMARY)
    eventually_sync(ollama.chats)
    client.post("/transcripts/aa01/delete")
    eventually_sync(lambda: state(client)["making"] is None)
    eventually_sync(lambda: ollama.given_up == ["/api/chat"])


def test_what_fails_is_told_and_leaves_the_old_one(asking: tuple[TestClient, Edits], ollama: OllamaServer) -> None:
    """Also to who opens the page later; the next try forgets it."""
    client, _ = asking
    kept = made(client)["summary"]
    ollama.mode = "malformed"
    client.post(SUMMARY)
    eventually_sync(lambda: state(client)["making"] is None)
    found = state(client)
    assert "gave no answer that can be used" in found["problem"] and found["summary"] == kept
    assert "gave no answer that can be used" in client.get("/transcripts/aa01").text
    ollama.mode = "good"
    assert made(client)["problem"] is None


def test_where_a_prompt_file_is_stays_here(file: Path, ollama: OllamaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any path does; the log has it."""
    monkeypatch.setattr(way, "QUIET_S", 0.0)
    setup, own = setup_of(file.parent), file.parent / "own"
    own.mkdir()
    (own / "ja.toml").write_bytes(b"summarize = '\x82\xa0'")  # of an editor that writes Shift JIS
    settings = replace(setup.config.summary, prompts=str(own))
    config = replace(setup.config, llm=replace(setup.config.llm, host=ollama.url), summary=settings)
    with browsing(replace(setup, config=config)) as (client, _):
        problem = made(client)["problem"]
    assert problem.startswith("The prompt file '…' can't be used") and "not saved as UTF-8" in problem


def test_a_process_that_does_not_listen_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is to do is more than a pipe holds: who cancels does not wait until it is read."""
    began = threading.Event()
    children: list[subprocess.Popen[bytes]] = []

    def deaf(command: list[str], **pipes: int) -> "subprocess.Popen[bytes]":
        children.append(popen([sys.executable, "-c", "import time; time.sleep(60)"], **pipes))
        began.set()
        return children[0]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", deaf)
    lines = (Line("田中", "予算です。" * 50),) * 2000
    run = Run(Work(lines, "ja", LlmSettings(), "", (), os.getpid()), lambda message: None)
    reader, killer = threading.Thread(target=run.read), threading.Thread(target=run.kill)
    reader.start()
    began.wait()
    killer.start()
    killer.join(10.0)
    held_up = killer.is_alive()
    children[0].kill()
    killer.join()
    reader.join()
    assert not held_up


def test_one_is_made_after_the_other(asking: tuple[TestClient, Edits], ollama: OllamaServer, file: Path) -> None:
    """Asked for twice it is made once."""
    client, front = asking
    front.busy = True
    client.post(SUMMARY)
    client.post("/sessions/bb02/summary")
    eventually_sync(lambda: state(client)["making"]["step"] == "speech")
    front.busy = False
    eventually_sync(lambda: state(client)["making"] is None)
    assert len(ollama.chats()) == 1


def test_a_transcript_that_is_deleted_has_no_summary(asking: tuple[TestClient, Edits], file: Path) -> None:
    client, _ = asking
    made(client)
    stored_sessions.delete(file, "bb02")
    assert state(client)["summary"] is None


def test_what_has_none_is_refused(asking: tuple[TestClient, Edits], file: Path) -> None:
    """No such session; one in which nothing was said; a daemon without a language model."""
    client, _ = asking
    assert client.post("/sessions/zz/summary").status_code == 404
    refused = client.post("/sessions/cc03/summary")
    assert refused.status_code == 409 and "Nothing was said" in refused.json()["error"]
    setup = setup_of(file.parent)
    without = replace(setup.config, correction=replace(setup.config.correction, engine="none"))
    with browsing(replace(setup, config=without)) as (other, _):
        assert 'correction.engine is "none"' in other.post(SUMMARY).json()["error"]


def test_strangers_and_foreign_pages_get_none(file: Path, asking: tuple[TestClient, Edits]) -> None:
    client, _ = asking
    foreign = client.post(SUMMARY, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403 and state(client)["making"] is None
    with browsing(setup_of(file.parent, (tokens.hash_of(TOKEN),))) as (stranger, _):
        for method, path in (("GET", SUMMARY), ("POST", SUMMARY), ("POST", f"{SUMMARY}/cancel")):
            assert stranger.request(method, path).status_code == 401
