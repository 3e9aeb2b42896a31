"""The tuning page in a real browser."""

import numpy as np
import psutil
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests import wire
from tests.waiting import eventually_sync
from tests.web import browser
from tests.web.conftest import Served, Speech
from tests.web.test_live import script

pytestmark = pytest.mark.web


def test_what_was_said_and_who_died_is_seen(chrome: Chrome, served: Served) -> None:
    """The picture of the overlap has the utterances, its bars are as long as the work was; a killed stage is listed.
    The state of the stages is new every few seconds; a phone shows all of it, in both languages, dark and light."""
    Speech(served.port, np.concatenate([wire.turn(number) for number in (0, 3)])).end()
    [asr] = [event for event in served.events("stage_ready") if event["stage"] == "asr"]
    psutil.Process(asr["pid"]).kill()
    eventually_sync(lambda: served.events("stage_died"))
    chrome.get(f"{served.pages}tuning?since=15m")
    assert len(chrome.find_elements(By.CSS_SELECTOR, ".report .trigger")) == len(served.events("utterance"))
    bars = script(chrome, "[...document.querySelectorAll('rect.stage-asr')].map((each) => each.getBBox().width)")
    assert len(bars()) >= len(served.events("utterance")) and all(width > 0 for width in bars())
    assert "died" in chrome.find_element(By.CLASS_NAME, "endings").text
    eventually_sync(lambda: script(chrome, "document.querySelector('#now tr td').textContent")() == "ready")
    _looks(chrome)


def _looks(chrome: Chrome) -> None:
    """Wide and narrow, light and dark as chosen or by the system, light on paper; nothing is wider than the page."""
    browser.picture(chrome, "tuning")
    chrome.find_element(By.ID, "theme").click()
    colour = script(chrome, "getComputedStyle(document.querySelector('.report section')).backgroundColor")
    dark = colour()
    browser.size(chrome, browser.PHONE)
    browser.picture(chrome, "tuning-phone-dark")
    assert script(chrome, "document.documentElement.scrollWidth <= innerWidth")()
    chrome.find_element(By.ID, "theme").click()
    light = colour()
    assert light != dark
    chrome.execute_script("document.documentElement.dataset.theme = 'auto'")
    _emulate(chrome, "screen")
    assert colour() == dark
    _emulate(chrome, "print")
    assert colour() == light == "rgb(255, 255, 255)"
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {})
    chrome.find_element(By.ID, "language").click()
    eventually_sync(lambda: "待ち時間" in chrome.find_element(By.TAG_NAME, "main").text)


def _emulate(chrome: Chrome, media: str) -> None:
    """Of a system that is set to dark."""
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [dark]})
