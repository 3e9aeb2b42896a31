"""Transcripts in a real browser, of a daemon whose processes are real ones."""

from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests import wire
from tests.waiting import eventually_sync
from tests.web import browser
from tests.web.conftest import Served, Speech
from wernicke_daemon import cli

pytestmark = pytest.mark.web

NAME = "<b>田中 & Söhne</b>"


def text(chrome: Chrome) -> str:
    """Of the page; empty while another one comes."""
    return str(chrome.execute_script("return document.getElementById('main')?.innerText ?? ''"))


def fits(chrome: Chrome) -> bool:
    return bool(chrome.execute_script("return document.documentElement.scrollWidth <= innerWidth"))


def test_yesterdays_meeting_is_read_named_found_taken_and_deleted(
    chrome: Chrome, served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What somebody at another machine does with what was said, on a desktop and on a phone, from page to page."""
    speech = Speech(served.port, wire.turn(0))
    speech.end()
    said = [segment["text"] for final in speech.finals for segment in final["segments"]]
    session = speech.messages[0]["session_id"]
    chrome.get(f"{served.pages}transcripts")
    chrome.find_element(By.CSS_SELECTOR, f"a[href='/transcripts/{session}']").click()
    assert all(sentence in text(chrome) for sentence in said)
    _name(chrome, said[0])
    _search(chrome, said[0])
    _look(chrome)
    _take(chrome, served, session, tmp_path, said[0], capsys)
    _delete(chrome, served, session)


def _name(chrome: Chrome, first: str) -> None:
    """The front refuses what is no name, and the dialog says why."""
    chrome.find_element(By.CSS_SELECTOR, "button.voice").click()
    assert first[:20] in chrome.find_element(By.ID, "said").text
    for name, tells in (("Speaker_07", "another name"), (NAME, NAME)):
        box = chrome.find_element(By.ID, "name")
        box.clear()
        box.send_keys(name, Keys.ENTER)
        eventually_sync(lambda tells=tells: tells in text(chrome))
    assert chrome.find_element(By.CSS_SELECTOR, ".block .speaker").text == NAME
    browser.picture(chrome, "transcript")


def _search(chrome: Chrome, first: str) -> None:
    """By the key for it, from the list; the hit leads to its place."""
    chrome.find_element(By.CSS_SELECTOR, ".back").click()
    chrome.find_element(By.TAG_NAME, "body").send_keys("/")
    word = max(first.split(), key=len)
    chrome.switch_to.active_element.send_keys(word.upper(), Keys.ENTER)
    eventually_sync(lambda: chrome.find_elements(By.CSS_SELECTOR, ".hit mark"))
    assert chrome.find_element(By.CSS_SELECTOR, ".hit mark").text == word and NAME in text(chrome)
    browser.picture(chrome, "search")
    chrome.find_element(By.CSS_SELECTOR, "a.hit").click()
    eventually_sync(lambda: chrome.find_elements(By.CSS_SELECTOR, ".block span:target mark"))


def _look(chrome: Chrome) -> None:
    chrome.find_element(By.ID, "theme").click()
    browser.size(chrome, browser.PHONE)
    chrome.find_element(By.ID, "language").click()
    eventually_sync(lambda: "書き出し" in text(chrome))
    assert fits(chrome) and chrome.execute_script("return document.documentElement.dataset.theme") == "dark"
    browser.picture(chrome, "transcript-phone-dark-ja")
    browser.size(chrome, browser.DESKTOP)


def _take(
    chrome: Chrome, served: Served, session: str, folder: Path, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each format that the menu offers, and the same from a shell, by the address that speech goes to."""
    chrome.find_element(By.CSS_SELECTOR, ".menu summary").click()
    links = [each.get_attribute("href") for each in chrome.find_elements(By.CSS_SELECTOR, ".menu a")]
    assert [link.rpartition(".")[2] for link in links if link] == ["txt", "srt", "vtt", "md", "json", "docx"]
    assert all(httpx.get(link, trust_env=False, timeout=60).status_code == 200 for link in links if link)
    url = f"ws://127.0.0.1:{served.port}/transcribe"
    assert cli.main(["export", session[:8], "-o", str(folder / "meeting.srt"), "--url", url]) == 0
    assert f"{NAME.replace('<', '‹')}: {first}" in (folder / "meeting.srt").read_text(encoding="utf-8")
    assert cli.main(["sessions", "--url", url]) == 0
    assert cli.main(["search", first, "--url", url]) == 0
    assert capsys.readouterr().out.count(session) == 2


def _delete(chrome: Chrome, served: Served, session: str) -> None:
    """Not without being asked, and then for good."""
    chrome.find_element(By.CSS_SELECTOR, "[data-opens=delete]").click()
    chrome.find_element(By.CSS_SELECTOR, "#delete [data-closes]").click()
    chrome.find_element(By.CSS_SELECTOR, "[data-opens=delete]").click()
    chrome.find_element(By.CSS_SELECTOR, "#delete .danger").click()
    eventually_sync(lambda: chrome.current_url == f"{served.pages}transcripts")
    assert session not in chrome.page_source
    assert httpx.get(f"{served.pages}sessions/{session}.txt", trust_env=False).status_code == 404
