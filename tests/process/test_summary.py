"""The process that makes summaries, and `wernicke summary` without a daemon: real processes, a server that speaks
Ollama's API."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipc.settings import LlmSettings
from ipc.summary import Failed, Line, Made, Merging, Message, Part, PartDone, Reading, Sentence, Work
from stages.summary import run
from tests.ollama_server import MODEL, OllamaServer
from tests.unit.web_transcripts.kept import BEGUN, add, message
from tests.waiting import eventually_sync
from wernicke_daemon import cli
from wernicke_daemon.records import stored_summaries, transcript_file
from wernicke_daemon.summaries import making

Json = dict[str, Any]

OWN_MODEL = "minutes:7b"
"""Named in config.toml, so that no profile chooses another one."""

LINES = (
    Line("田中", "では、見積もりは480万円で決まりですね。"),
    Line("佐藤", "はい。仕様書は12月10日までに私が作成します。"),
    Line("鈴木", "移行の時期は、まだ決まっていません。"),
)
DECIDED = {"kind": "decision", "text": "見積もりは480万円に決まった。", "lines": [1], "who": "", "until": ""}
TASK = {"kind": "task", "text": "仕様書を作成する。", "lines": [2], "who": "佐藤", "until": "12月10日"}
OPEN = {"kind": "open", "text": "移行の時期は決まっていない。", "lines": [3], "who": "山本", "until": ""}
INVENTED = {"kind": "decision", "text": "見積もりは490万円に決まった。", "lines": [1], "who": "", "until": ""}
GROUNDLESS = {"kind": "decision", "text": "見積もりは480万円に決まった。", "lines": [], "who": "", "until": ""}


def answering(asked: Json) -> Json:
    """As a model that gets some of it right."""
    return {"sentences": [DECIDED, TASK, OPEN, INVENTED, GROUNDLESS]}


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer([MODEL, OWN_MODEL]) as running:
        running.summarize = answering
        yield running


def work(server: OllamaServer, lines: tuple[Line, ...] = LINES, done: tuple[Part, ...] = (), **llm: Any) -> Work:
    settings = LlmSettings(host=server.url, **llm)
    return Work(lines, "ja", settings, "", done, os.getpid())


def outcome(work: Work) -> list[Message]:
    """Of what the process does, in this one, which is faster."""
    said: list[Message] = []
    run.run(work, said.append)
    return said


def process(work: Work) -> list[Message]:
    return list(making.said(making.started(), work))


def failure(said: list[Message]) -> str:
    failed = said[-1]
    assert isinstance(failed, Failed) and "\n" not in failed.reason
    return failed.reason


# --- the process -----------------------------------------------------------------------------------


def test_what_stands_in_its_lines_is_kept_and_the_rest_is_counted(server: OllamaServer) -> None:
    """One part: one question, whose answer is bounded in length, in the context that corrections have."""
    made = outcome(work(server))[-1]
    assert made == Made(
        (
            Sentence("decision", DECIDED["text"], (1,)),
            Sentence("task", TASK["text"], (2,), "佐藤", "12月10日"),
            Sentence("open", OPEN["text"], (3,)),
        ),
        dropped=2,
    )
    [chat] = server.chats()
    assert json.loads(chat["messages"][-1]["content"])["lines"][1] == f"2 佐藤: {LINES[1].text}"
    assert chat["options"]["num_predict"] == 900 and chat["options"]["num_ctx"] == LlmSettings().num_ctx
    assert all("keep_alive" not in request.body for request in server.requests)


def test_a_long_meeting_is_gone_through_in_parts(server: OllamaServer) -> None:
    """Each part has its own lines, under the numbers that they have in the whole; what one repeats of another goes."""
    many = tuple(Line("田中", f"議題{number}の予算は{number}万円に決まりました。" * 3) for number in range(1, 151))

    def part_by_part(asked: Json) -> Json:
        if "sentences" in asked:
            return {"repeated": [{"sentence": 1, "by": len(asked["sentences"])}]}
        number = int(asked["lines"][0].split()[0])
        one = DECIDED | {"text": f"議題{number}の予算は{number}万円。", "lines": [number]}
        return {"sentences": [one, one | {"text": "予算が決まった。"}]}

    server.summarize = part_by_part
    said = outcome(work(server, many))
    of = next(message.of for message in said if isinstance(message, Reading))
    assert of > 2 and sum(isinstance(message, PartDone) for message in said) == of
    assert any(isinstance(message, Merging) for message in said)
    made = said[-1]
    assert isinstance(made, Made) and made.dropped == 0
    assert len(made.sentences) == of + 1  # what is the same in all parts is said once, with the lines of all
    [same] = [sentence for sentence in made.sentences if sentence.text == "予算が決まった。"]
    assert len(same.lines) == of
    asked = [json.loads(chat["messages"][-1]["content"])["lines"] for chat in server.chats()[:of]]
    assert [int(line.split()[0]) for lines in asked for line in lines] == list(range(1, 151))


def test_parts_that_are_done_are_not_asked_for_again(server: OllamaServer) -> None:
    """As after it had to give way."""
    done = Part((Sentence("decision", DECIDED["text"], (1,)),), 3)
    assert outcome(work(server, done=(done,)))[-1] == Made(done.sentences, 3)
    assert server.chats() == []


def test_lines_that_can_only_be_asked_about_one_by_one(server: OllamaServer) -> None:
    """One part that the model can't do is no reason to lose all of a long meeting."""
    every = [DECIDED, TASK, OPEN]

    def confused(asked: Json) -> Json:
        numbers = [int(line.split()[0]) for line in asked["lines"]]
        return {"sentences": [every[numbers[0] - 1]]} if len(numbers) == 1 else {"nonsense": True}

    server.summarize = confused
    made = outcome(work(server))[-1]
    assert isinstance(made, Made) and [sentence.lines for sentence in made.sentences] == [(1,), (2,), (3,)]


def test_an_answer_that_is_cut_off_is_asked_for_in_halves(server: OllamaServer) -> None:
    server.next_modes = ["good", "length"]  # the first one loads
    made = outcome(work(server))[-1]
    assert isinstance(made, Made) and len(made.sentences) == 3
    asked = [json.loads(chat["messages"][-1]["content"])["lines"] for chat in server.chats()]
    assert [len(lines) for lines in asked] == [3, 1, 2]


def test_no_server(server: OllamaServer) -> None:
    server.close()
    assert failure(outcome(work(server))).startswith(
        f"No Ollama server answers at {server.url} (no connection): start Ollama"
    )


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("unknown_model", f"does not have the model {MODEL}: run `ollama pull {MODEL}`."),
        ("malformed", "gave no answer that can be used"),
        ("503", "server busy"),
        ("not_json", "not an answer of Ollama's"),
    ],
)
def test_what_goes_wrong_is_a_sentence(server: OllamaServer, mode: Any, says: str) -> None:
    server.mode = mode
    assert says in failure(outcome(work(server)))


def test_nothing_goes_to_another_machine(server: OllamaServer, capfd: pytest.CaptureFixture[str]) -> None:
    """Where the server sends the request on to one."""
    server.elsewhere, server.next_modes = "http://192.0.2.1:11434", ["good", "redirect"]
    assert "could not run the model" in failure(process(work(server, timeout_s=20.0)))
    assert "wanted to reach 192.0.2.1" in capfd.readouterr().err


def test_nothing_of_the_folder_that_it_is_asked_for_in_is_run(
    server: OllamaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be one of downloads."""
    (tmp_path / "msgspec.py").write_text("raise SystemExit('of a stranger')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert isinstance(process(work(server))[-1], Made)


def test_a_server_that_is_slow(server: OllamaServer) -> None:
    """One request has llm.timeout_s."""
    server.next_modes = ["good", "hang"]
    assert "no answer in time" in failure(outcome(work(server, timeout_s=0.3)))


def test_a_process_that_is_killed_ends_its_request(server: OllamaServer) -> None:
    """And so the model's work on it: that is how it gives way."""
    server.next_modes = ["good", "hang"]
    child = making.started()
    said: list[Message] = []
    reader = threading.Thread(target=lambda: said.extend(making.said(child, work(server))))
    reader.start()
    eventually_sync(server.chats)
    child.kill()
    eventually_sync(lambda: server.given_up == ["/api/chat"])
    reader.join()
    assert isinstance(said[-1], Failed) and "ended unexpectedly" in said[-1].reason


# --- wernicke summary ------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """One transcript, of those lines."""
    path = tmp_path / "data" / transcript_file.FILE_NAME
    path.parent.mkdir()
    with contextlib.closing(transcript_file.open_for_writing(path)) as database, database:
        row = ("aa01", BEGUN, BEGUN, BEGUN + 60, "ja")
        database.execute("INSERT INTO session (id, begun, started, ended, language) VALUES (?, ?, ?, ?, ?)", row)
        for number, line in enumerate(LINES, 1):
            add(database, "aa01", number, message(number, line.text, line.speaker, 10.0 * number))
    return path


@pytest.fixture
def settings(file: Path, server: OllamaServer) -> Path:
    path = file.parent.parent / "config.toml"
    path.write_text(
        f'[correction]\nengine = "ollama"\n[llm]\nhost = "{server.url}"\nmodel = "{OWN_MODEL}"\n', encoding="utf-8"
    )
    return path


SHOWN = """
Decisions
- 見積もりは480万円に決まった。 [00:10]

Open points
- 移行の時期は決まっていない。 [00:30]

Who does what until when
- 佐藤: 仕様書を作成する。 (12月10日) [00:20]

Left out, as the lines do not say so: 2.
"""


def test_a_summary_is_made_once_and_kept(
    file: Path, settings: Path, server: OllamaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Marked with what made it; for programs with the lines of each sentence; the transcript is as it was."""
    before = cli.main(["export", "aa01", "--config", str(settings)]), capsys.readouterr().out
    assert cli.main(["summary", "last", "--config", str(settings)]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"Made by the language model {OWN_MODEL}, 20") and shown.out.endswith(SHOWN)
    assert "Part 1 of 1 is summarized." in shown.err
    asked = len(server.requests)
    assert cli.main(["summary", "aa", "--json", "--config", str(settings)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["statements"][1] | {"lines": None} == TASK | {"lines": None} and found["dropped"] == 2
    assert found["statements"][1]["lines"] == [{"session": "aa01", "sequence": 2, "start": 20.0}]
    assert len(server.requests) == asked
    assert (cli.main(["export", "aa01", "--config", str(settings)]), capsys.readouterr().out) == before


def test_what_fails_leaves_the_old_one(
    file: Path, settings: Path, server: OllamaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["summary", "last", "--config", str(settings)]) == 0
    kept = capsys.readouterr().out
    server.mode = "malformed"
    assert cli.main(["summary", "last", "--anew", "--config", str(settings)]) == 6
    assert "gave no answer that can be used" in capsys.readouterr().err
    assert cli.main(["summary", "last", "--config", str(settings)]) == 0
    assert capsys.readouterr().out == kept


def test_a_transcript_that_changes_is_told(file: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As by another name for a speaker; --anew makes another summary."""
    options = ["--config", str(settings)]
    assert cli.main(["summary", "last", *options]) == 0
    assert cli.main(["name", "last", "佐藤", "渡辺", *options]) == 0
    capsys.readouterr()
    assert cli.main(["summary", "last", *options]) == 0
    assert "The transcript has changed since" in capsys.readouterr().err
    assert cli.main(["summary", "last", "--anew", *options]) == 0
    shown = capsys.readouterr()
    assert "has changed" not in shown.err and "- 仕様書を作成する。 (12月10日) [00:20]" in shown.out


def test_a_users_prompt_takes_the_place_of_ours_and_a_broken_one_is_named(
    file: Path, settings: Path, server: OllamaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Relative to config.toml, as correction.prompts is."""
    own = settings.parent / "own" / "ja.toml"
    own.parent.mkdir()
    own.write_text('\ufeffsummarize = "Nur Entscheidungen."\nmerge = "Doppelte."\n', encoding="utf-8")
    with settings.open("a", encoding="utf-8") as text:
        text.write('[summary]\nprompts = "own"\n')
    assert cli.main(["summary", "last", "--config", str(settings)]) == 0
    assert server.chats()[-1]["messages"][0]["content"] == "Nur Entscheidungen."
    own.write_text("summarize = 1\n", encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["summary", "last", "--anew", "--config", str(settings)]) == 6
    said = capsys.readouterr().err
    assert f"The prompt file '{own}' can't be used, correct it or delete it" in said


def test_without_a_language_model_there_is_none(
    file: Path, settings: Path, server: OllamaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where corrections are switched off, no model is there to be loaded."""
    assert cli.main(["summary", "last", "--profile", "embedded", "--config", str(settings)]) == 6
    assert 'correction.engine is "none"' in capsys.readouterr().err
    assert server.requests == []


def test_what_is_deleted_meanwhile_gets_no_summary(file: Path, settings: Path, server: OllamaServer) -> None:
    """Nothing of what was said comes back."""

    def deleting(asked: Json) -> Json:
        with contextlib.closing(transcript_file.open_for_writing(file)) as database, database:
            database.execute("DELETE FROM result WHERE sequence = 3")
        return answering(asked)

    server.summarize = deleting
    assert cli.main(["summary", "last", "--config", str(settings)]) == 6
    with transcript_file.reading(file) as database:
        assert stored_summaries.of(database, "aa01") is None
