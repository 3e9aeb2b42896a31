"""A summary in a real browser: asked for, followed, cancelled, read. The daemon's processes are real ones; the language
model's server speaks Ollama's API."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.ollama_server import OllamaServer
from tests.process.conftest import serving
from tests.unit.web_transcripts.kept import BEGUN, ODD, add, message
from tests.waiting import eventually_sync
from tests.web import browser
from tests.web.conftest import Served, answers
from wernicke_daemon.records import transcript_file

pytestmark = pytest.mark.web

MODEL = "minutes:7b"
TEXTS = ("予算は480万円に決まりました。", f"資料と{ODD}")


def answering(asked: dict[str, Any]) -> dict[str, Any]:
    if "segments" in asked:
        return {"segments": asked["segments"]}
    decided = {"kind": "decision", "text": "予算は480万円に決まった。", "lines": [1], "who": "", "until": ""}
    task = {"kind": "task", "text": TEXTS[1], "lines": [2], "who": "佐藤", "until": "資料"}
    return {"sentences": [decided, task, {**decided, "text": "予算は490万円に決まった。"}]}


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer([MODEL]) as server:
        server.summarize = answering
        yield server


@pytest.fixture(scope="module")
def minuted(tmp_path_factory: pytest.TempPathFactory, ollama: OllamaServer) -> Iterator[Served]:
    """A daemon with one transcript, and a language model."""
    browser.found()
    directory = tmp_path_factory.mktemp("minuted")
    _fill(directory / "data" / transcript_file.FILE_NAME)
    text = f"""
    asr = {{ engine = "pocketsphinx", language = "en" }}
    alignment = {{ engine = "whisper" }}
    diarization = {{ engine = "none" }}
    correction = {{ engine = "ollama" }}
    llm = {{ host = "{ollama.url}", model = "{MODEL}" }}
    store = {{ retention_days = 0 }}
    [web]
    port = 0
    """
    with serving(directory, text, profile="cpu") as (process, port):
        assert process.stdout is not None
        pages = process.stdout.readline().split()[1]
        eventually_sync(lambda: answers(pages))
        yield Served(psutil.Process(process.pid), port, pages, directory / "data" / "logs" / "wernicke.jsonl")


def _fill(file: Path) -> None:
    file.parent.mkdir()
    with contextlib.closing(transcript_file.open_for_writing(file)) as database, database:
        row = ("aa01", BEGUN, BEGUN, BEGUN + 60, "ja")
        database.execute("INSERT INTO session (id, begun, started, ended, language) VALUES (?, ?, ?, ?, ?)", row)
        for number, text in enumerate(TEXTS, 1):
            add(database, "aa01", number, message(number, text, "佐藤", 10.0 * number))


def summary(chrome: Chrome) -> str:
    """Empty while another page comes, or there is none."""
    shown = "const it = document.getElementById('summary'); return it && !it.hidden ? it.innerText : ''"
    return str(chrome.execute_script(shown))


def test_a_summary_is_made_followed_cancelled_and_read(chrome: Chrome, minuted: Served, ollama: OllamaServer) -> None:
    """It goes on where the page is closed; each sentence leads to its line; what the model writes is text."""
    page = f"{minuted.pages}transcripts/aa01"
    ollama.next_modes = ["good", "hang"]  # the first one loads
    asked = len(ollama.chats())
    chrome.get(page)
    assert summary(chrome) == ""
    chrome.find_element(By.ID, "summarize").click()
    eventually_sync(lambda: "Part 1 of 1 is summarized" in summary(chrome))
    chrome.get("about:blank")
    chrome.get(page)
    eventually_sync(lambda: "Part 1 of 1 is summarized" in summary(chrome))
    assert not chrome.find_element(By.ID, "summarize").is_enabled() and len(ollama.chats()) == asked + 1
    chrome.find_element(By.ID, "summary-cancel").click()
    eventually_sync(lambda: chrome.find_element(By.ID, "summarize").is_enabled())
    assert summary(chrome) == ""
    chrome.find_element(By.ID, "summarize").click()
    eventually_sync(lambda: f"Made by the language model {MODEL}" in summary(chrome))
    assert ODD in summary(chrome) and "490" not in summary(chrome)
    assert "Left out, as the lines do not say so: 1" in summary(chrome)
    browser.picture(chrome, "summary")
    chrome.find_element(By.CSS_SELECTOR, ".summary a.time").click()
    target = chrome.execute_script("return document.querySelector('.block span:target')?.innerText")
    assert target == TEXTS[0]


def test_what_fails_is_told_on_the_page(chrome: Chrome, minuted: Served, ollama: OllamaServer) -> None:
    """In a sentence, beside an earlier summary."""
    chrome.get(f"{minuted.pages}transcripts/aa01")
    ollama.mode = "malformed"
    chrome.find_element(By.ID, "summarize").click()
    eventually_sync(lambda: "gave no answer that can be used" in summary(chrome))
    ollama.mode = "good"
    assert "予算は480万円に決まった。" in summary(chrome) and chrome.find_element(By.ID, "summarize").is_enabled()
