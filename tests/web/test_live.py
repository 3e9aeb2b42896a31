"""The live page in a real browser, of a daemon whose processes are real ones."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests import wire
from tests.waiting import eventually_sync
from tests.web import browser
from tests.web.conftest import MEETING, Served, Speech

pytestmark = pytest.mark.web

NAME = "<script>田中</script>"


def page(chrome: Chrome, served: Served) -> None:
    chrome.get(served.pages)
    eventually_sync(lambda: chrome.execute_script("return document.body.dataset.line === 'open'"))


def script(chrome: Chrome, expression: str) -> Callable[[], Any]:
    return lambda: chrome.execute_script(f"return {expression}")


def texts(chrome: Chrome, session: str) -> list[str]:
    """Of the finals that the page shows, where it shows that session."""
    shown = chrome.execute_script(
        "return document.getElementById('captions').dataset.session === arguments[0] ?"
        " [...document.querySelectorAll('.line:not(.open):not(.note) .text')].map((each) => each.textContent) : []",
        session,
    )
    return [str(text) for text in shown]


def said(speech: Speech) -> list[str]:
    return [segment["text"] for final in speech.finals for segment in final["segments"]]


def keys(chrome: Chrome, text: str) -> None:
    chrome.find_element(By.TAG_NAME, "body").send_keys(text)


def test_captions_grow_are_named_and_survive_a_kill(chrome: Chrome, served: Served, tmp_path: Path) -> None:
    """Text in the making is grey, finals are told to screen readers, a voice is named while one reads what it said, and
    where the web process is killed in mid-caption no client notices and the page has all that was said meanwhile."""
    page(chrome, served)
    speech = Speech(served.port, np.concatenate([wire.turn(number) for number in (0, 3, 1)]))
    eventually_sync(script(chrome, "document.querySelector('.open .text')?.textContent"))
    eventually_sync(lambda: speech.finals)
    session = speech.messages[0]["session_id"]
    eventually_sync(lambda: texts(chrome, session))
    assert said(speech)[0] in chrome.execute_script("return document.getElementById('announce').textContent")
    browser.picture(chrome, "live")
    served.kill_web()
    eventually_sync(script(chrome, "document.body.dataset.line === 'open'"))
    speech.end()
    assert [message["type"] for message in speech.messages][-1] == "session_ended"
    eventually_sync(lambda: texts(chrome, session) == said(speech))
    _name_the_first_voice(chrome)
    _look_and_keys(chrome, said(speech))
    _found_and_exported(chrome, served, said(speech)[1], tmp_path)


def _name_the_first_voice(chrome: Chrome) -> None:
    chrome.execute_script("document.querySelector('button.name').click()")  # lines may be made anew at any moment
    first = chrome.execute_script("return document.querySelector('.line .text').textContent")
    assert first in chrome.find_element(By.ID, "rename-said").text
    chrome.find_element(By.ID, "rename-name").send_keys("Speaker_07", Keys.ENTER)
    eventually_sync(lambda: "another name" in chrome.find_element(By.ID, "rename-problem").text)
    box = chrome.find_element(By.ID, "rename-name")
    box.clear()
    box.send_keys(NAME, Keys.ENTER)
    eventually_sync(lambda: script(chrome, "document.querySelector('button.name')?.textContent")() == NAME)
    assert chrome.execute_script("return document.querySelectorAll('#captions script').length") == 0


def _look_and_keys(chrome: Chrome, lines: list[str]) -> None:
    keys(chrome, "kk")
    selected = script(chrome, "document.querySelector('.line.selected .text')?.textContent")
    assert selected() == lines[-2]
    keys(chrome, "j")
    assert selected() == lines[-1]
    keys(chrome, "/" + lines[0].split()[0])
    eventually_sync(script(chrome, "document.querySelectorAll('.line.misses').length > 0"))
    chrome.find_element(By.ID, "find-text").send_keys(Keys.ESCAPE)
    assert script(chrome, "document.querySelectorAll('.line.misses').length")() == 0
    chrome.find_element(By.ID, "theme").click()
    browser.picture(chrome, "live-dark")
    browser.size(chrome, browser.PHONE)
    browser.picture(chrome, "live-phone")
    assert script(chrome, "document.documentElement.scrollWidth <= innerWidth")()
    chrome.find_element(By.ID, "language").click()
    eventually_sync(script(chrome, "document.documentElement.lang === 'ja' && document.body.dataset.ready"))
    assert script(chrome, "document.documentElement.dataset.theme")() == "dark"


def _found_and_exported(chrome: Chrome, served: Served, text: str, directory: Path) -> None:
    """From the live page's field to all transcripts, to the one, to a file."""
    browser.size(chrome, browser.DESKTOP)
    field = chrome.find_element(By.ID, "find-text")
    field.send_keys(text, Keys.ENTER)
    eventually_sync(script(chrome, "document.querySelector('.hit')"))
    assert text in chrome.execute_script("return document.querySelector('.hit').textContent")
    assert script(chrome, "document.querySelector('.hit mark').textContent")() in text
    browser.picture(chrome, "search")
    chrome.execute_script("document.querySelector('.hit').click()")
    eventually_sync(script(chrome, "document.getElementById('transcript')"))
    assert NAME in chrome.find_element(By.ID, "transcript").text
    browser.picture(chrome, "transcript")
    chrome.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(directory)})
    chrome.execute_script("document.querySelector('a[download][href$=\".srt\"]').click()")
    eventually_sync(lambda: [text in file.read_text(encoding="utf-8") for file in directory.glob("*.srt")] == [True])


def test_where_the_browser_forbids_the_microphone_the_page_says_what_to_do(chrome: Chrome, served: Served) -> None:
    """By this machine's name, without TLS."""
    chrome.get(served.pages.replace("127.0.0.1", socket.gethostname()))
    eventually_sync(script(chrome, "document.body.dataset.ready"))
    chrome.find_element(By.ID, "speak").click()
    assert "wernicke cert" in chrome.find_element(By.ID, "speak-insecure").text
    changes = chrome.execute_async_script(
        "import('/static/live/difference.js').then((made) => arguments[0]("
        " made.difference('今日は会技です', '今日は<b>会議</b>です', 'ja').map((each) => each.outerHTML ?? each)))"
    )
    assert changes[0].startswith("今日は") and changes[-1].endswith("です")
    assert "<del>" in "".join(changes) and "<b>" not in "".join(changes)  # what was put in is text
    assert not chrome.find_element(By.ID, "speak-start").is_displayed()


def test_the_browsers_microphone_loses_no_sample_over_a_kill(chrome: Chrome, served: Served) -> None:
    """What the page has sent is what the daemon has received, to the sample, although the process between them was
    killed on the way; and the words are there."""
    page(chrome, served)
    chrome.find_element(By.ID, "speak").click()
    chrome.find_element(By.ID, "speak-start").click()
    eventually_sync(script(chrome, "document.querySelector('.open .text')?.textContent"))
    browser.picture(chrome, "live-speaking")
    served.kill_web()
    eventually_sync(script(chrome, "document.querySelector('#captions .line:not(.open) .text')?.textContent"))
    chrome.find_element(By.ID, "speak-stop").click()
    assert _everything_sent_was_received(chrome, served) > 2


def _everything_sent_was_received(chrome: Chrome, served: Served) -> float:
    """Once it is. Seconds of sound."""
    eventually_sync(script(chrome, "document.getElementById('speak-state').dataset.samples"))
    samples, rate = chrome.execute_script(
        "const told = document.getElementById('speak-state').dataset; return [+told.samples, +told.rate]"
    )
    session = chrome.execute_script("return document.getElementById('captions').dataset.session")
    [over] = eventually_sync(lambda: [each for each in served.events("session_over") if each["session"] == session])
    assert over["received_s"] == pytest.approx(samples / rate, abs=0.002)
    return float(samples / rate)


def test_the_sound_of_a_tab(sharing: Chrome, served: Served, tmp_path: Path) -> None:
    """Closing the browser's own choice of tabs is answered with what to do. What the tab plays is captions, and where
    the tab is closed, the sound is complete up to there."""
    file = tmp_path / "meeting.html"
    file.write_text(f"<!doctype html><title>{MEETING}</title><audio src='{wire.CLIP.as_uri()}'></audio>")
    sharing.get(file.as_uri())
    meeting = sharing.current_window_handle
    sharing.switch_to.new_window("tab")
    page(sharing, served)
    live = sharing.current_window_handle
    browser.size(sharing, browser.DESKTOP)
    shown = script(sharing, "document.getElementById('captions').dataset.session")
    before = shown()
    sharing.find_element(By.ID, "speak").click()
    Select(sharing.find_element(By.ID, "speak-source")).select_by_value("tab")
    _none_is_chosen(sharing)
    sharing.find_element(By.ID, "speak-start").click()
    eventually_sync(lambda: sharing.find_element(By.ID, "speak-stop").is_displayed())
    sharing.switch_to.window(meeting)
    sharing.execute_script("return document.querySelector('audio').play()")
    sharing.switch_to.window(live)
    session = eventually_sync(lambda: (now := shown()) != before and now)
    first = eventually_sync(lambda: texts(sharing, session))[0]
    assert first.startswith("good morning everyone")
    browser.picture(sharing, "live-tab")
    sharing.switch_to.window(meeting)
    sharing.close()
    sharing.switch_to.window(live)
    assert _everything_sent_was_received(sharing, served) > 4


def _none_is_chosen(chrome: Chrome) -> None:
    chrome.execute_script(
        "const media = navigator.mediaDevices, ask = media.getDisplayMedia;"
        "media.getDisplayMedia = () => { media.getDisplayMedia = ask; throw new DOMException('', 'NotAllowedError'); };"
    )
    chrome.find_element(By.ID, "speak-start").click()
    eventually_sync(lambda: "Choose a tab" in chrome.find_element(By.ID, "speak-state").text)


def test_a_page_may_be_open_for_weeks(chrome: Chrome, served: Served) -> None:
    """Of a session it has no more lines than results, and nothing once it was deleted; and a line that took several
    tries at first is tried again for as long as any when it is lost much later."""
    page(chrome, served)
    lines = chrome.execute_async_script(
        """
        Promise.all([import("/static/live/captions.js"), import("/static/live/state.js")]).then(([made, { State }]) => {
          const [state, captions] = [new State(), new made.Captions(document.createElement("div"), (key) => key)];
          const say = (message) => state.take({ type: "watched", session_id: "a", message });
          const begun = "2026-01-01T00:00:00Z";
          const session = { session_id: "a", begun, attached: true, over: false, results: [], open: [] };
          state.take({ type: "session_shown", ...session });
          captions.show(state.sessions.get("a"));
          for (let sequence = 1; sequence <= 1010; sequence++) {
            const segments = [{ start: 0, end: 1, text: `${sequence}`, speaker: null }];
            captions.update(say({ type: "final", sequence, wall_start: begun, segments, language: "ja" }).sequence);
            if (sequence === 5) captions.update(say({ type: "gap", from: 1, to: 2 }).sequence);
          }
          const shown = [...captions.list.querySelectorAll("[data-sequence]")].map((line) => line.dataset.sequence);
          const all = [shown.length, shown[0], shown.at(-1), captions.list.children.length];
          const changed = state.take({ type: "session_deleted", session_id: "a" });
          arguments[0]([...all, changed, state.sessions.size]);
        });
        """
    )
    assert lines == [1000, "11", "1010", 1001, {"all": True}, 0]
    told = chrome.execute_async_script(
        """
        const lines = [];
        window.WebSocket = class { constructor() { lines.push(this); } };
        window.setTimeout = (work) => work();
        import("/static/live/uplink.js").then(({ Uplink }) => {
          const told = [];
          new Uplink(16000, {}, (kind) => told.push(kind));
          lines[0].onclose({ code: 1006 });
          lines[1].onmessage({ data: '{"type": "connection_established", "session_id": "a", "resume_token": "b"}' });
          const later = Date.now() + 3600 * 1000;
          Date.now = () => later;
          lines[1].onclose({ code: 1006 });
          arguments[0]([told, lines.length]);
        });
        """
    )
    assert told == [["lost", "session", "sent", "lost"], 3]


def test_one_microphone_however_often_it_is_asked_for(chrome: Chrome, served: Served) -> None:
    """While the browser asks whether it may, too; and it is let go where nothing comes of it."""
    page(chrome, served)
    chrome.execute_script(
        """
        window.asked = 0;
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
          window.asked += 1;
          await new Promise((resolve) => { window.permit = resolve; });
          return (window.stream = await ask(wanted));
        };
        AudioWorklet.prototype.addModule = () => Promise.reject(new Error("none"));
        """
    )
    chrome.find_element(By.ID, "speak").click()
    for _ in range(2):
        chrome.find_element(By.ID, "speak-start").click()
    assert chrome.execute_script("const asked = window.asked; window.permit(); return asked") == 1
    eventually_sync(script(chrome, "window.stream?.getTracks().every((track) => track.readyState === 'ended')"))
    eventually_sync(lambda: "could not load" in chrome.find_element(By.ID, "speak-state").text)
