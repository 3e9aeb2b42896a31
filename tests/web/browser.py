"""Chromium, driven by Selenium, with a microphone that plays a file."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import Chrome

PICTURES = Path(__file__).parents[2] / ".ci-out"
"""Where screenshots land."""

DESKTOP, PHONE = (1280, 800), (390, 844)

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--use-fake-ui-for-media-stream", f"--host-resolver-rules=MAP {socket.gethostname()} 127.0.0.1",
    "--use-fake-device-for-media-stream", "--lang=en",
)  # fmt: skip


def found() -> tuple[str, str]:
    """Chromium and its driver, from Debian's packages `chromium` and `chromium-driver`; the test is skipped where they
    are not."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with its driver (apt-get install chromium chromium-driver)")
    return browser, driver


@contextmanager
def opened(microphone: Path) -> Iterator[Chrome]:
    """microphone: a WAV file that it hears, once."""
    browser, driver = found()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*OPTIONS, f"--use-file-for-fake-audio-capture={microphone}%noloop"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options, webdriver.ChromeService(driver, env={**os.environ, "LANG": "C.UTF-8"}))
    try:
        size(chrome, DESKTOP)
        yield chrome
    finally:
        chrome.quit()


def size(chrome: Chrome, wide: tuple[int, int]) -> None:
    """wide: width and height in CSS pixels."""
    width, height = wide
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def picture(chrome: Chrome, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    chrome.save_screenshot(str(PICTURES / f"{name}.png"))


def complaints(chrome: Chrome) -> list[str]:
    """Errors in the console since the last look, but those of lines that broke and of what the daemon refused."""
    lines = [entry["message"] for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]
    expected = ("WebSocket", "ERR_CONNECTION", "409 (Conflict)")
    return [line for line in lines if not any(part in line for part in expected)]
