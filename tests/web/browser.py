"""Chromium, driven by Selenium, with a microphone that plays a file or with a tab that is shared at once."""

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
    f"--host-resolver-rules=MAP {socket.gethostname()} 127.0.0.1", "--lang=en",
)  # fmt: skip


def hearing(microphone: Path) -> tuple[str, ...]:
    """Options. microphone: a WAV file that it hears, once."""
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    return (*fake, f"--use-file-for-fake-audio-capture={microphone}%noloop")


def sharing(title: str) -> tuple[str, ...]:
    """Options. title: of the tab that is chosen when the browser asks which; it may play without being clicked on. None
    of the fakes of `hearing`: they would choose a tab that beeps."""
    return (f"--auto-select-tab-capture-source-by-title={title}", "--autoplay-policy=no-user-gesture-required")


def found() -> tuple[str, str]:
    """Chromium and its driver, from Debian's packages `chromium` and `chromium-driver`; the test is skipped where they
    are not."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with its driver (apt-get install chromium chromium-driver)")
    return browser, driver


@contextmanager
def opened(more: tuple[str, ...]) -> Iterator[Chrome]:
    """more: options."""
    browser, driver = found()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*OPTIONS, *more):
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
    """Errors in the console since the last look, but those of lines that broke, of what the daemon refused, and of the
    camera, after which Chromium asks where a tab is shared."""
    lines = [entry["message"] for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]
    expected = ("WebSocket", "ERR_CONNECTION", "409 (Conflict)", "camera is not allowed")
    return [line for line in lines if not any(part in line for part in expected)]
