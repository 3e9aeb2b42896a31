"""The Ollama engine against a real HTTP server, in health and in every kind of trouble."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import numpy as np
import pytest
from structlog.testing import capture_logs

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import EngineUnavailable
from ipc.messages import CorrectionResult, CorrectionWork
from ipc.settings import AsrSettings, CorrectionSettings, LlmSettings, StageSettings
from stages.correction import fitting, ollama, ollama_server
from stages.correction.none import NoCorrection
from stages.correction.ollama import OllamaCorrection
from stages.process.engine_registry import create
from tests.ollama_server import MODEL, Mode, OllamaServer, Place
from tests.waiting import eventually_sync

KANA = "きょうはきかいがくしゅうについてはなします"
KANJI = "今日は機械学習について話します。"
SHORT_S = 1.0


def no_audio(handle: AudioHandle) -> Audio:
    return np.zeros(0, np.float32)


def settings(url: str, **llm: float) -> StageSettings:
    return StageSettings(
        asr=AsrSettings(language="en"),
        correction=CorrectionSettings(segments_per_request=2, context_lines=2),
        llm=LlmSettings(host=url, **llm),  # type: ignore[arg-type]
    )


def named(url: str) -> StageSettings:
    return StageSettings(correction=CorrectionSettings(engine="ollama"), llm=LlmSettings(host=url))


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer(corrections={KANA: KANJI}) as running:
        yield running


@contextmanager
def loaded(server: OllamaServer, **llm: float) -> Iterator[OllamaCorrection]:
    """An engine before its warm-up."""
    engine = OllamaCorrection("correction", settings(server.url, **llm))
    try:
        engine.load()
        yield engine
    finally:
        engine.close()


@contextmanager
def warm(server: OllamaServer, **llm: float) -> Iterator[OllamaCorrection]:
    """An engine at work; the requests of its warm-up are forgotten."""
    with loaded(server, **llm) as engine:
        engine.warm_up()
        server.requests.clear()
        yield engine


def events(logs: Sequence[Mapping[str, object]]) -> list[object]:
    return [entry["event"] for entry in logs]


def asked(server: OllamaServer, path: str) -> int:
    return sum(request.path == path for request in server.requests)


def correct(engine: OllamaCorrection, *texts: str, language: str = "en") -> CorrectionResult:
    return engine.process(CorrectionWork(texts, language), no_audio)


def unavailable(step: Callable[[], None]) -> str:
    with pytest.raises(EngineUnavailable) as raised:
        step()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_good_answers_replace_the_texts(server: OllamaServer) -> None:
    """Corrected texts come back in place, over several requests."""
    with warm(server) as engine:
        result = correct(engine, "one", KANA, "three", language="ja")
    assert result == CorrectionResult(("one.", KANJI, "three."))
    assert [len(json.loads(chat["messages"][-1]["content"])["segments"]) for chat in server.chats()] == [2, 1]


def test_requests_carry_what_the_settings_say(server: OllamaServer) -> None:
    """Temperature, context size, residence and a schema for exactly the texts asked; num_ctx never varies."""
    with loaded(server, temperature=0.3, num_ctx=2048) as engine:
        engine.warm_up()
        correct(engine, "one", "two")
    chat = server.chats()[-1]
    assert chat["model"] == MODEL
    assert chat["keep_alive"] == -1
    assert chat["options"]["temperature"] == 0.3
    assert chat["format"]["properties"]["segments"]["minItems"] == 2
    assert chat["format"]["properties"]["segments"]["maxItems"] == 2
    runs = [one.body for one in server.requests if one.path in ("/api/generate", "/api/chat")]
    assert {run["options"]["num_ctx"] for run in runs} == {2048}


def test_context_is_what_was_said_last(server: OllamaServer) -> None:
    """A request carries the last lines before its texts, those of the same job included, and the glossary."""
    with warm(server) as engine:
        work = CorrectionWork(("three", "four", "five"), "en", ("Wernicke",), ("one", "two", "two and a half"))
        engine.process(work, no_audio)
    asked = [json.loads(chat["messages"][-1]["content"]) for chat in server.chats()]
    assert [one["context"] for one in asked] == [["two", "two and a half"], ["three", "four"]]
    assert all(one["glossary"] == ["Wernicke"] for one in asked)


def test_no_context_lines_means_no_context(server: OllamaServer) -> None:
    """context_lines = 0 sends none."""
    engine = OllamaCorrection(
        "correction",
        StageSettings(correction=CorrectionSettings(context_lines=0), llm=LlmSettings(host=server.url)),
    )
    engine.load()
    engine.warm_up()
    engine.process(CorrectionWork(("two",), "en", context=("one",)), no_audio)
    engine.close()
    assert json.loads(server.chats()[-1]["messages"][-1]["content"])["context"] == []


def test_unchanged_and_empty_texts_are_not_corrections(server: OllamaServer) -> None:
    """A text that comes back as it was gives None; a blank one is not sent at all."""
    with warm(server) as engine:
        result = correct(engine, "Done already.", " ", "")
    assert result == CorrectionResult((None, None, None))
    assert len(server.chats()) == 1


def test_inventions_are_refused_and_counted(server: OllamaServer) -> None:
    """An edit that the guard turns down leaves the recognised text standing."""
    server.corrections["good morning"] = "I'm sorry, but I can't help with that."
    with warm(server) as engine:
        assert correct(engine, "good morning", "two") == CorrectionResult((None, "two."), refused=1)


@pytest.mark.parametrize(
    ("mode", "warning", "requests"),
    [
        ("503", "LLM_UNAVAILABLE", 1),
        ("cut", "LLM_UNAVAILABLE", 1),
        ("unknown_model", "LLM_UNAVAILABLE", 1),
        ("hang", "LLM_TIMEOUT", 1),
        ("malformed", "LLM_INVALID_ANSWER", 2),
        ("not_json", "LLM_INVALID_ANSWER", 2),
        ("wrong_count", "LLM_INVALID_ANSWER", 2),
        ("length", "LLM_INVALID_ANSWER", 2),
    ],
)
def test_trouble_leaves_the_recognised_text(server: OllamaServer, mode: Mode, warning: str, requests: int) -> None:
    """Each failure gives one warning and no text; a server that is gone or stuck isn't asked again in that job.
    The next job is corrected again."""
    with warm(server, timeout_s=SHORT_S) as engine:
        server.mode = mode
        assert correct(engine, "one", "two", "three") == CorrectionResult((None, None, None), 0, (warning,))
        assert len(server.chats()) == requests
        server.mode = "good"
        assert correct(engine, "one") == CorrectionResult(("one.",))


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (["good", "503"], CorrectionResult(("one.", "two.", None), 0, ("LLM_UNAVAILABLE",))),
        (["wrong_count", "good"], CorrectionResult((None, None, "three."), 0, ("LLM_INVALID_ANSWER",))),
    ],
)
def test_a_failed_request_takes_only_its_own_texts(
    server: OllamaServer, modes: list[Mode], expected: CorrectionResult
) -> None:
    """What other requests of the job bring is kept."""
    with warm(server) as engine:
        server.next_modes = modes
        assert correct(engine, "one", "two", "three") == expected


def test_nothing_more_is_asked_for_a_text_that_has_gone_out(
    server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `correction.deadline_s` a job makes no further request: the next job waits for this one."""
    with warm(server) as engine:
        clock = iter([0.0, 4.9, 5.1])
        monkeypatch.setattr(ollama, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        assert correct(engine, "one", "two", "three") == CorrectionResult(("one.", "two.", None), 0, ("LLM_TIMEOUT",))
        assert len(server.chats()) == 1


def test_a_server_that_goes_away_is_only_a_warning(server: OllamaServer) -> None:
    """Connection refused in the middle of a run, with a connection of the last job still pooled."""
    with warm(server) as engine:
        correct(engine, "one")
        server.close()
        assert correct(engine, "two") == CorrectionResult((None,), 0, ("LLM_UNAVAILABLE",))


def test_texts_are_not_logged(server: OllamaServer) -> None:
    """The log says what went wrong without what was said."""
    with warm(server) as engine, capture_logs() as logs:
        server.mode = "malformed"
        correct(engine, "confidential")
    assert events(logs) == ["llm_request_failed"]
    assert "confidential" not in str(logs)


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
            answers += result == CorrectionResult((None,), 0, ("LLM_UNAVAILABLE",))
            time.sleep(0.05)
        assert time.monotonic() - began > 2 * SHORT_S
        assert answers > 4, "with the time-out of a request each, there would be two"
        eventually_sync(lambda: "llm_loaded" in events(logs))
        assert correct(engine, "one") == CorrectionResult(("one.",))
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
            assert correct(engine, "one") == CorrectionResult((None,), 0, ("LLM_UNAVAILABLE",))
        assert asked(server, "/api/generate") == 1
        server.mode = "good"
        monkeypatch.setattr(ollama_server, "LOAD_AGAIN_AFTER_S", 0.0)
        correct(engine, "one")
        eventually_sync(lambda: MODEL in server.loaded and "llm_loaded" in events(logs))
        assert correct(engine, "one").texts == ("one.",)


def test_a_load_under_way_does_not_hold_up_the_end(server: OllamaServer) -> None:
    """close() gives it up."""
    with warm(server) as engine:
        server.loaded.clear()
        server.mode, server.load_s = "slow_load", 60.0
        correct(engine, "one")
        eventually_sync(lambda: server.loads == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 50


def test_japanese_is_asked_in_japanese_and_judged_by_its_sounds(server: OllamaServer) -> None:
    """Japanese has instructions and a guard of its own; any other language shares the plain ones."""
    server.corrections["5時です"] = "6時です"
    with warm(server) as engine:
        assert correct(engine, "5時です", language="ja").refused == 1
        correct(engine, "one", language="de")
    japanese, other = (chat["messages"][0]["content"] for chat in server.chats())
    assert "校正" in japanese and "proofread" in other


def test_prompts_of_the_user_are_sent(server: OllamaServer, tmp_path: Path) -> None:
    """correction.prompts names a directory whose files go before those of the package."""
    (tmp_path / "en.toml").write_text('system = "Mend the spelling."', "utf-8")
    mine = StageSettings(
        correction=CorrectionSettings(prompts=str(tmp_path)), llm=LlmSettings(host=server.url), asr=AsrSettings()
    )
    engine = OllamaCorrection("correction", mine)
    engine.load()
    engine.warm_up()
    correct(engine, "one")
    engine.close()
    assert [message["role"] for message in server.chats()[-1]["messages"]] == ["system", "user"]
    assert server.chats()[-1]["messages"][0]["content"] == "Mend the spelling."


@pytest.mark.parametrize("letter", ["語", "t"])
def test_a_glossary_as_long_as_may_be_leaves_room_for_the_texts(server: OllamaServer, letter: str) -> None:
    """Of 200 terms with 100 characters the first ones go along, and no context; the texts are whole and corrected."""
    glossary = tuple(f"{number:03}".ljust(100, letter) for number in range(200))
    work = CorrectionWork((KANA, "ああ" * 50), "ja", glossary, ("いい" * 200,))
    with warm(server) as engine, capture_logs() as logs:
        assert engine.process(work, no_audio) == CorrectionResult((KANJI, "ああ" * 50 + "。"))
    (chat,) = server.chats()
    asked = json.loads(chat["messages"][-1]["content"])
    assert [segment["text"] for segment in asked["segments"]] == list(work.texts)
    assert 5 < len(asked["glossary"]) < 200 and asked["glossary"] == list(glossary[: len(asked["glossary"])])
    assert asked["context"] == []
    assert fitting.prompt_tokens(chat["messages"]) + chat["options"]["num_predict"] <= chat["options"]["num_ctx"]
    left_out = 200 - len(asked["glossary"])
    said = {"terms": left_out, "lines": 1, "requests": 1}
    assert logs == [{"event": "llm_prompt_shortened", **said, "log_level": "info"}]


def test_prompts_that_are_all_shortened_are_told_of_now_and_again(
    server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it begins, and later how often; not with every request."""
    now = [0.0]
    monkeypatch.setattr(ollama, "time", SimpleNamespace(monotonic=lambda: now[0]))
    work = CorrectionWork(("one",), "en", tuple(f"{number:03}".ljust(100, "t") for number in range(200)))
    with warm(server) as engine, capture_logs() as logs:
        for at in (0.0, 1.0, ollama.SHORTENED_AGAIN_S - 1.0, ollama.SHORTENED_AGAIN_S):
            now[0] = at
            engine.process(work, no_audio)
    assert len(server.chats()) == 4
    assert [(line["event"], line["requests"]) for line in logs] == [
        ("llm_prompt_shortened", 1),
        ("llm_prompt_shortened", 3),
    ]


def test_texts_without_room_for_all_go_one_by_one(server: OllamaServer) -> None:
    """A small context makes for more requests; a text that does not fit alone stays as recognised."""
    texts = ("word " * 60 + "one", "word " * 240, "word " * 60 + "three")
    with warm(server, num_ctx=1600) as engine, capture_logs() as logs:
        result = correct(engine, *texts)
    assert result == CorrectionResult((f"{texts[0]}.", None, f"{texts[2]}."), 0, ("LLM_UNAVAILABLE",))
    assert [len(json.loads(chat["messages"][-1]["content"])["segments"]) for chat in server.chats()] == [1, 1]
    assert logs[0] == {"event": "llm_text_too_long", "segments": 1, "num_ctx": 1600, "log_level": "warning"}
    assert "word" not in str(logs)


def test_a_context_without_room_for_the_prompt_is_refused(server: OllamaServer) -> None:
    """Before anything is asked; the sentence says how much it takes."""
    engine = OllamaCorrection("correction", settings(server.url, num_ctx=512))
    assert "set it to 1322 or more, got 512" in unavailable(engine.load)
    engine.close()
    assert server.requests == []


def test_none_corrects_nothing() -> None:
    """The engine `none` leaves every text as recognised and reads no audio."""

    def forbidden(handle: AudioHandle) -> NoReturn:
        raise AssertionError

    engine = create("correction", "none", StageSettings())
    assert isinstance(engine, NoCorrection)
    engine.load()
    engine.warm_up()
    assert engine.process(CorrectionWork(("one", "two"), "en"), forbidden) == CorrectionResult((None, None))
    engine.close()
