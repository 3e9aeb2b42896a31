"""Servers that are not there and models that are not loaded."""

import threading
import time

import pytest
from structlog.testing import capture_logs

from ipc.messages import CorrectionResult
from ipc.settings import CorrectionSettings, LlmSettings, StageSettings
from stages.correction import ollama, ollama_server
from stages.correction.ollama import OllamaCorrection
from tests.ollama_server import MODEL, Mode, OllamaServer, Place
from tests.process.correction_ollama.engine import SHORT_S, asked, correct, events, loaded, settings, unavailable, warm
from tests.waiting import eventually_sync


def named(url: str) -> StageSettings:
    return StageSettings(correction=CorrectionSettings(engine="ollama"), llm=LlmSettings(host=url))


def test_load_without_a_server_says_what_to_do() -> None:
    """A refused connection names the address and the ways out."""
    nobody = Place()
    url = nobody.url
    engine = OllamaCorrection("correction", settings(url))
    reason = unavailable(engine.load)
    engine.close()
    assert url in reason
    assert 'correction.engine = "none"' in reason


@pytest.mark.parametrize("host", ["http://localhost:port", "http://[", "http://no such host"])
def test_load_with_an_impossible_address_says_what_to_do(host: str) -> None:
    """An address that can't be one is reported like a server that is not there."""
    engine = OllamaCorrection("correction", settings(host))
    reason = unavailable(engine.load)
    engine.close()
    assert "correct llm.host" in reason


def test_load_without_the_model_says_how_to_get_it() -> None:
    """A server without the model gives the command that fetches it."""
    with OllamaServer(models=["another:latest"]) as server:
        engine = OllamaCorrection("correction", settings(server.url))
        assert f"ollama pull {MODEL}" in unavailable(engine.load)
        engine.close()


def test_a_proxy_in_the_environment_is_not_used(server: OllamaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said goes straight to the configured host."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with warm(server) as engine:
        assert correct(engine, "one").texts == ("one.",)


def test_loading_may_take_longer_than_a_request(server: OllamaServer) -> None:
    """Warm-up loads the model for good, with an empty prompt and the long time-out."""
    server.mode, server.load_s = "slow_load", 2 * SHORT_S
    with loaded(server, timeout_s=SHORT_S) as engine:
        engine.warm_up()
    load = next(request.body for request in server.requests if request.path == "/api/generate")
    assert load["prompt"] == ""
    assert load["keep_alive"] == -1


def test_a_load_that_takes_too_long_is_a_failed_start(server: OllamaServer) -> None:
    """Warm-up gives up after load_timeout_s, not after what the server takes."""
    server.mode, server.load_s = "slow_load", 60.0
    with loaded(server, load_timeout_s=SHORT_S) as engine:
        began = time.monotonic()
        assert MODEL in unavailable(engine.warm_up)
        assert time.monotonic() - began < server.load_s


@pytest.mark.parametrize("mode", ["503", "cut", "malformed", "wrong_count", "unknown_model"])
def test_a_model_that_does_not_answer_is_a_failed_start(server: OllamaServer, mode: Mode) -> None:
    """Warm-up corrects a real text: READY means that correction works."""
    with loaded(server) as engine:
        server.mode = mode
        assert 'correction.engine = "none"' in unavailable(engine.warm_up)


def test_a_server_that_comes_up_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where config.toml names Ollama, both may have been started at logon."""
    monkeypatch.setattr(ollama_server, "RETRY_S", 0.05)
    place = Place()
    engine = OllamaCorrection("correction", named(place.url))
    with capture_logs() as logs:
        loading = threading.Thread(target=engine.load)
        loading.start()
        eventually_sync(lambda: "llm_awaited" in events(logs))
        with OllamaServer(place=place) as server:
            loading.join()
            engine.warm_up()
            assert correct(engine, "one").texts == ("one.",)
            assert server.loads == 1
    engine.close()


def test_a_server_that_does_not_come_up_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is bounded, and the refusal is the same as without it."""
    monkeypatch.setattr(ollama_server, "RETRY_S", 0.05)
    monkeypatch.setattr(ollama, "WAIT_FOR_SERVER_S", 0.2)
    nobody = Place()
    url = nobody.url
    engine = OllamaCorrection("correction", named(url))
    with capture_logs() as logs:
        assert "no Ollama server answers" in unavailable(engine.load)
    engine.close()
    assert events(logs) == ["llm_awaited"]


def test_a_model_that_is_gone_is_loaded_beside_the_jobs(server: OllamaServer) -> None:
    """After a restart of Ollama jobs are answered at once while the model loads, once, longer than a request may
    take; then they are corrected again."""
    with warm(server, timeout_s=SHORT_S) as engine, capture_logs() as logs:
        server.loaded.clear()
        server.mode, server.load_s, server.loads = "slow_load", 2 * SHORT_S, 0
        began, answers = time.monotonic(), 0
        while MODEL not in server.loaded:
            result = correct(engine, "one")
            answers += result == CorrectionResult((None,), (), ("LLM_UNAVAILABLE",))
            time.sleep(0.05)
        assert time.monotonic() - began > 2 * SHORT_S
        assert answers > 4, "with the time-out of a request each, there would be two"
        eventually_sync(lambda: correct(engine, "one") == CorrectionResult(("one.",)))
    assert server.loads == 1
    assert events(logs) == ["llm_loading", "llm_loaded"]


def test_a_load_that_fails_is_not_tried_with_every_job(server: OllamaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that can't load the model is left alone for a while, then asked again."""
    with warm(server) as engine, capture_logs() as logs:
        server.loaded.clear()
        server.mode = "503"
        correct(engine, "one")
        eventually_sync(lambda: "llm_load_failed" in events(logs))
        while asked(server, "/api/ps") < 6:  # a job during a load asks nothing
            assert correct(engine, "one") == CorrectionResult((None,), (), ("LLM_UNAVAILABLE",))
        assert asked(server, "/api/generate") == 1
        server.mode = "good"
        monkeypatch.setattr(ollama_server, "LOAD_AGAIN_AFTER_S", 0.0)
        correct(engine, "one")
        eventually_sync(lambda: correct(engine, "one").texts == ("one.",))


def test_a_load_under_way_does_not_hold_up_the_end(server: OllamaServer) -> None:
    """close() gives it up."""
    with warm(server) as engine:
        server.loaded.clear()
        server.mode, server.load_s = "slow_load", 60.0
        correct(engine, "one")
        eventually_sync(lambda: server.loads == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 50
