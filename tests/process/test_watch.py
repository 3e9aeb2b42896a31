"""Who watches sees all sessions, from any moment on; and what is kept can be changed."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests import wire
from tests.process.conftest import stored
from tests.waiting import eventually
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.records import stored_speakers
from wernicke_daemon.records.transcript_file import FILE_NAME

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPEECH = wire.turn(0).astype("<f4").tobytes()
TANAKA = "<b>田中</b>"


def side(daemon: Daemon, path: str, **headers: str) -> connect:
    return connect(f"ws://127.0.0.1:{daemon.port}{path}", additional_headers=headers, compression=None)


async def watched(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The first message of that type about any session."""
    while True:
        message = await wire.receive(socket)
        if message["type"] == "watched" and message["message"]["type"] == kind:
            return message


async def edit(daemon: Daemon, **change: str) -> dict[str, Any]:
    async with side(daemon, "/edit") as socket:
        await socket.send(json.dumps(change))
        return await wire.receive(socket)


async def test_texts_grow_and_come_again_to_one_that_comes_back(daemon: Daemon) -> None:
    """A client that asked for nothing is seen with partials all the same, and is not told any itself. Who comes later
    is shown what was said, and a name that was given meanwhile; who is there when the session ends is told."""
    async with side(daemon, "/watch") as first:
        assert (await wire.until(first, "watching"))[-1]["type"] == "watching"
        async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session&language=en") as client:
            hello = await wire.receive(client)
            begun = (await wire.until(first, "session_shown"))[-1]
            assert begun["session_id"] == hello["session_id"] and begun["results"] == []
            await client.send(SPEECH)
            await client.send('{"type": "flush"}')
            final = await wire.receive(client)  # and nothing before it
            assert final["type"] == "final"
            partial = await watched(first, "partial")
            assert partial["session_id"] == hello["session_id"] and partial["message"]["text"]
            seen = (await watched(first, "final"))["message"]
            assert seen["text"] == final["text"] and all("words" not in segment for segment in seen["segments"])
            speaker = final["segments"][0]["speaker"]
            renamed = await edit(daemon, type="name", session_id=hello["session_id"], speaker=speaker, name=TANAKA)
            assert renamed == {"type": "done"}
            assert (await watched(first, "speaker_update"))["message"]["segments"][0]["speaker"] == TANAKA
            async with side(daemon, "/watch") as second:
                shown = await wire.until(second, "watching")
            [session] = [each for each in shown if each.get("session_id") == hello["session_id"]]
            assert [result["text"] for result in session["results"]] == [final["text"]]
            assert session["results"][0]["segments"][0]["speaker"] == TANAKA and session["attached"]
            refused = await edit(daemon, type="delete", session_id=hello["session_id"])
            assert "not over yet" in refused["message"]
            await client.send('{"type": "stop"}')
            await wire.until(client, "session_ended")
        while not (await wire.until(first, "session_changed"))[-1]["over"]:
            pass
        await a_deleted_session_is_gone(daemon, hello["session_id"])
        assert (await wire.until(first, "session_deleted"))[-1]["session_id"] == hello["session_id"]


async def a_deleted_session_is_gone(daemon: Daemon, session: str) -> None:
    """From the disk, and from what those who come are shown."""
    assert len(stored(daemon, session)) == 1
    assert await edit(daemon, type="delete", session_id=session) == {"type": "done"}
    assert stored(daemon, session) == []
    async with side(daemon, "/watch") as third:
        assert session not in (await wire.until(third, "watching"))[-1]["sessions"]


async def test_what_can_not_be_deleted_is_still_there(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever deletes is told why; those who watch go on seeing it."""
    monkeypatch.setattr(stored_speakers, "LOCK_WAIT_S", 0.1)
    messages = await wire.transcribe(daemon.port, SPEECH, f"{wire.MONO}&events=session&language=en")
    session = messages[0]["session_id"]
    await eventually(lambda: not daemon.sessions.is_on(session))
    with closing(sqlite3.connect(daemon._config.data_path / FILE_NAME)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = await edit(daemon, type="delete", session_id=session)
    assert "locked" in refused["message"]
    async with side(daemon, "/watch") as watcher:
        assert session in (await wire.until(watcher, "watching"))[-1]["sessions"]
        assert await edit(daemon, type="delete", session_id=session) == {"type": "done"}
        assert (await wire.until(watcher, "session_deleted"))[-1]["session_id"] == session


@pytest.mark.parametrize(
    "change",
    [
        {"type": "name", "session_id": "../../etc", "speaker": "Speaker_00", "name": "A"},
        {"type": "delete", "session_id": "0' OR '1'='1"},
        {"type": "delete"},
        {"type": "stop"},
    ],
)
async def test_a_change_that_can_not_be_made_says_why(daemon: Daemon, change: dict[str, str]) -> None:
    """Nothing else happens."""
    answer = await edit(daemon, **change)
    assert answer["type"] == "error" and answer["message"].endswith(".")


async def test_no_foreign_page_watches_or_changes(daemon: Daemon) -> None:
    """Browsers say where a page is from."""
    for path in ("/watch", "/edit"):
        with pytest.raises(InvalidStatus, match="403"):
            async with side(daemon, path, Origin="https://evil.example"):
                pass


async def test_a_watcher_that_reads_nothing_holds_up_nobody(daemon: Daemon) -> None:
    """Its connection goes; clients have their results."""
    async with side(daemon, "/watch"):
        messages = await wire.transcribe(daemon.port, SPEECH, f"{wire.MONO}&language=en")
        assert wire.finals(messages)
    await eventually(lambda: not daemon.sessions.watchers.present)
