"""What is asked of the model, and what becomes of its answers."""

import json
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from ipc.messages import CorrectionResult, CorrectionWork
from ipc.settings import CorrectionSettings, LlmSettings, StageSettings
from stages.correction import ollama
from stages.correction.ollama import OllamaCorrection
from tests.ollama_server import MODEL, Mode, OllamaServer
from tests.process.correction_ollama.engine import KANA, KANJI, SHORT_S, correct, events, loaded, no_audio, warm


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
        assert correct(engine, "good morning", "two") == CorrectionResult((None, "two."), refused=("other_text",))


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
        assert correct(engine, "one", "two", "three") == CorrectionResult((None, None, None), (), (warning,))
        assert len(server.chats()) == requests
        server.mode = "good"
        assert correct(engine, "one") == CorrectionResult(("one.",))


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (["good", "503"], CorrectionResult(("one.", "two.", None), (), ("LLM_UNAVAILABLE",))),
        (["wrong_count", "good"], CorrectionResult((None, None, "three."), (), ("LLM_INVALID_ANSWER",))),
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
        monkeypatch.setattr(ollama, "clock", SimpleNamespace(monotonic=lambda: next(clock)))
        assert correct(engine, "one", "two", "three") == CorrectionResult(("one.", "two.", None), (), ("LLM_TIMEOUT",))
        assert len(server.chats()) == 1


def test_a_server_that_goes_away_is_only_a_warning(server: OllamaServer) -> None:
    """Connection refused in the middle of a run, with a connection of the last job still pooled."""
    with warm(server) as engine:
        correct(engine, "one")
        server.close()
        assert correct(engine, "two") == CorrectionResult((None,), (), ("LLM_UNAVAILABLE",))


def test_texts_are_not_logged(server: OllamaServer) -> None:
    """The log says what went wrong without what was said."""
    with warm(server) as engine, capture_logs() as logs:
        server.mode = "malformed"
        correct(engine, "confidential")
    assert events(logs) == ["llm_request_failed"]
    assert "confidential" not in str(logs)
