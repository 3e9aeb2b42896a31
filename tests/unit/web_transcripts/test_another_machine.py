"""`wernicke sessions`, `export` and `search`, of this machine and with `--url` of another one."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from tests.unit.web_transcripts.kept import TOKEN, add, message, setup_of
from tests.waiting import eventually_sync
from wernicke_daemon import cli
from wernicke_daemon.records import search_index, transcript_file
from wernicke_daemon.web.app import create_app
from wernicke_daemon.wire import tokens


@pytest.fixture
def served(file: Path) -> Iterator[list[str]]:
    """Options that name a web process of these transcripts, which wants a token."""
    setup = setup_of(file.parent, (tokens.hash_of(TOKEN),))
    server = uvicorn.Server(uvicorn.Config(create_app(setup), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually_sync(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield ["--url", f"http://127.0.0.1:{port}/", "--token", TOKEN]
    finally:
        server.should_exit = True
        thread.join()


def test_another_machines_transcripts_can_be_listed(served: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As the local ones are, for people and for programs."""
    assert cli.main(["sessions", *served]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["session", "aa01", "bb02", "cc03"]
    assert cli.main(["sessions", "--json", *served]) == 0
    assert [one["results"] for one in json.loads(capsys.readouterr().out)] == [2, 1, 0]


def test_another_machines_transcripts_can_be_exported(
    served: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the terminal, or as a file in any format."""
    assert cli.main(["export", "bb", *served]) == 0
    assert capsys.readouterr().out.startswith("[00:01] 田中: 来年度の予算です。\n")
    assert cli.main(["export", "aa01", "-o", str(tmp_path / "x.docx"), *served]) == 0
    assert (tmp_path / "x.docx").read_bytes().startswith(b"PK")


def test_another_machines_transcripts_can_be_searched(served: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With what was said before and after."""
    assert cli.main(["search", "予算", "続き", *served]) == 0
    assert "[00:01] 田中: 続きの予算です。" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        (["export", "zz"], 6, "There is no session zz"),
        (["export", "../x"], 6, "There is no session ../x"),
        (["search", "決算"], 7, "Nothing was found."),
        (["search", '""'], 6, "Say what to search for."),
        (["sessions", "--token", "b" * 64], 4, "another token"),
    ],
)
def test_what_another_machine_does_not_have_is_a_sentence(
    command: list[str], code: int, sentence: str, served: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the exit code that it has here."""
    assert cli.main([command[0], *served, *command[1:]]) == code
    assert sentence in capsys.readouterr().err


def test_a_search_on_this_machine(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a daemon; what controls a terminal is not printed, several words in one argument are one term."""
    with contextlib.closing(transcript_file.open_for_writing(file)) as database:
        with database:
            add(database, "cc03", 1, message(1, "see\x1b[31m the budget now", "A\x1bB", 3.0))
        index = search_index.SearchIndex(file.with_name(search_index.FILE_NAME))
        while index.step(database) is not None:
            pass
        index.close()
    (tmp_path / "mine.toml").write_text(f"[runtime]\ndata_dir = {json.dumps(str(tmp_path))}\n", encoding="utf-8")
    settings = ["--config", str(tmp_path / "mine.toml")]
    assert cli.main(["search", "the budget", *settings]) == 0
    shown = capsys.readouterr().out
    assert "[00:03] A B: see [31m the budget now" in shown and "\x1b" not in shown
    assert cli.main(["search", "budget the", *settings]) == 7
    capsys.readouterr()
    assert cli.main(["search", "--json", "budget", *settings]) == 0
    [hit] = json.loads(capsys.readouterr().out)["hits"]
    assert hit["session"] == "cc03"
