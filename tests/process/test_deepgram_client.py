"""Deepgram's own Python client, with nothing but another address, at the real daemon with the embedded engines."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import wire
from tests.cut_proxy import Cut, cut_proxy
from tests.process.conftest import stored, wanting
from tests.talk import PAUSE, TALK, is_right
from tests.waiting import eventually
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.evaluation.scoring import Spoken

deepgram = pytest.importorskip("deepgram", reason="needs Deepgram's client of the extra `test`")
api_error = pytest.importorskip("deepgram.core.api_error")
environments = pytest.importorskip("deepgram.environment")

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "b" * 64
FRAME = 3200
"""Bytes: 0.1 s of 16 kHz mono."""

STREAM = {"model": "nova-3", "encoding": "linear16", "sample_rate": 16000, "language": "en-US"}
"""What every client says, the model among it, which is ignored."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that wants a key, with its web process."""
    async with wanting(KEY, tmp_path_factory.mktemp("data")) as daemon:
        yield daemon


def client(port: int, key: str = KEY) -> Any:
    address = f"127.0.0.1:{port}"
    environment = environments.DeepgramClientEnvironment(
        base=f"http://{address}", production=f"ws://{address}", agent="", agent_rest=""
    )
    return deepgram.AsyncDeepgramClient(api_key=key, environment=environment)


def stream(port: int, key: str = KEY, **options: Any) -> Any:
    """As `async with`."""
    return client(port, key).listen.v1.connect(**(STREAM | options))


async def say(connection: Any, samples: wire.Samples) -> None:
    audio = wire.as_int16(samples)
    for at in range(0, len(audio), FRAME):
        await connection.send_media(audio[at : at + FRAME])


async def until_closed(connection: Any) -> list[Any]:
    async with asyncio.timeout(60):
        return [message async for message in connection]


async def result_that(connection: Any, is_wanted: Callable[[Any], bool]) -> Any:
    """The first of which that is true."""
    async with asyncio.timeout(60):
        while True:
            message = await connection.recv()
            if message.type == "Results" and is_wanted(message):
                return message


def finals(messages: list[Any]) -> list[Any]:
    return [message for message in messages if message.type == "Results" and message.is_final]


def said(result: Any) -> Any:
    return result.channel.alternatives[0]


async def test_a_talk_comes_back_in_lines_with_words_and_speakers(served: Daemon) -> None:
    """Each line of the kept transcript is a result of its own, with the stream's clock; the words are those that were
    said, and by whom."""
    asked = {"diarize": True, "interim_results": True, "vad_events": True, "utterance_end_ms": 1000}
    async with stream(served.web.port, **asked) as line:
        await say(line, TALK)
        await line.send_close_stream()
        messages = await until_closed(line)
    results, last = finals(messages), messages[-1]
    kept = stored(served, last.request_id)
    lines = [(final["timestamp_range"]["start"], segment) for final in kept for segment in final["segments"]]
    assert [said(result).transcript for result in results] == [segment["text"] for _, segment in lines]
    assert [result.start for result in results] == [round(at + segment["start"], 3) for at, segment in lines]
    words = [(word.punctuated_word, word.start) for result in results for word in said(result).words]
    assert words == [(word["word"], round(at + word["start"], 3)) for at, segment in lines for word in segment["words"]]
    heard = [Spoken(str(said(result).words[0].speaker), said(result).transcript) for result in results]
    assert is_right(heard)
    kinds = [message.type for message in messages]
    assert kinds.count("UtteranceEnd") == kinds.count("SpeechStarted") == len(kept)
    assert last.type == "Metadata" and last.duration == pytest.approx(len(TALK) / 16_000, abs=0.001)


async def talk_on(line: Any) -> None:
    """At the pace at which it is said, with a `Finalize` after each sentence, as soon as its last word is out."""
    samples = wire.turn(3, after_s=0.0)
    while True:
        for at in range(0, len(samples), 1600):
            await say(line, samples[at : at + 1600])
            await asyncio.sleep(0.1)
        await line.send_keep_alive()
        await line.send_finalize()


async def test_text_comes_while_one_speaks_and_finalize_makes_it_final(served: Daemon) -> None:
    """Without diarization no words have speakers."""
    async with stream(served.web.port, interim_results=True) as line:
        talking = asyncio.create_task(talk_on(line))
        first = await result_that(line, lambda result: not result.is_final)
        last = await result_that(line, lambda result: result.from_finalize)
        talking.cancel()
    assert said(first).transcript and said(first).words
    assert last.is_final and last.speech_final and "speaker" not in said(last).words[0].dict()


async def test_finalize_is_answered_where_nobody_speaks(served: Daemon) -> None:
    """Before anything was said, and after what was: clients wait for it."""
    async with stream(served.web.port) as line:
        await line.send_finalize()
        first = await result_that(line, lambda result: result.from_finalize)
        await say(line, np.concatenate([wire.turn(5), PAUSE, PAUSE]))
        spoken = await result_that(line, lambda result: result.is_final)
        await line.send_finalize()
        last = await result_that(line, lambda result: result.from_finalize)
    assert (said(first).transcript, said(last).transcript) == ("", "") and first.is_final and last.is_final
    assert said(spoken).transcript and not spoken.from_finalize
    assert last.start == pytest.approx(spoken.start + spoken.duration, abs=0.002) and last.duration == 0


async def test_glossary_and_odd_options_do_no_harm(served: Daemon) -> None:
    """What is not known is ignored; what was said within a stream that can't be is answered."""
    extra = {"additional_query_parameters": {"invented": "1", "keywords": ["customers:3"]}}
    async with stream(
        served.web.port, keyterm=["Wernicke", "design"], smart_format=True, request_options=extra
    ) as line:
        await line._send("no JSON")
        async with asyncio.timeout(60):
            refused = await line.recv()
        await say(line, wire.turn(3))
        await line.send_close_stream()
        [result] = finals(await until_closed(line))
    assert (refused.type, refused.variant, refused.message) == ("Error", "SchemaError", "no JSON")
    assert "customers" in said(result).transcript


async def status(port: int, **options: Any) -> Any:
    """HTTP status with which the client finds itself refused."""
    with pytest.raises(api_error.ApiError) as refused:
        async with stream(port, **options):
            pass
    return refused.value.status_code


async def refusal(port: int, query: str, **headers: str) -> Any:
    """What stands in the way of a stream: the HTTP answer."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{port}/v1/listen?{query}", additional_headers=headers):
            pass
    return refused.value.response


async def test_a_wrong_key_and_what_can_not_be_had_are_refused_in_their_way(served: Daemon) -> None:
    """The client's own error has the status, the answer has our sentence, in the header too."""
    assert await status(served.web.port, key="c" * 64) == 401
    assert await status(served.web.port, multichannel=True, channels=2) == 400
    key = {"Authorization": f"Token {KEY}"}
    answer = await refusal(served.web.port, "encoding=linear16&sample_rate=16000&multichannel=true", **key)
    assert answer.headers["dg-error"].startswith("multichannel is not supported")
    assert b"multichannel is not supported" in answer.body and b"err_msg" in answer.body
    answer = await refusal(served.web.port, "encoding=linear16&sample_rate=16000&language=english!", **key)
    assert answer.status_code == 400 and "language" in answer.headers["dg-error"]


async def test_a_browser_brings_its_key_among_the_subprotocols(served: Daemon) -> None:
    address = f"ws://127.0.0.1:{served.web.port}/v1/listen?encoding=linear16&sample_rate=16000"
    async with connect(address, subprotocols=["token", KEY]) as line:  # type: ignore[list-item]
        assert line.subprotocol == "token"
        await line.send(b"")  # as old clients end a stream
        with pytest.raises(ConnectionClosed):
            while True:
                last = await line.recv()
        assert '"Metadata"' in last and line.close_code == 1000


async def test_one_client_too_many_is_told_so(served: Daemon) -> None:
    async with stream(served.web.port), stream(served.web.port):
        assert await status(served.web.port) == 429


async def test_what_a_client_said_before_its_line_broke_is_kept(served: Daemon) -> None:
    """It is worked on at once, as nobody can come back for it."""
    before = {session.id for session in served.sessions}
    cut = Cut(after=len(wire.as_int16(wire.turn(5))))
    async with cut_proxy(served.web.port, cut) as port, stream(port) as line:
        session = (await eventually(lambda: {each.id for each in served.sessions} - before)).pop()
        with pytest.raises(ConnectionClosed):
            await say(line, np.concatenate([wire.turn(5), wire.turn(5)]))
            await until_closed(line)
    await eventually(lambda: stored(served, session))
    await eventually(lambda: session not in {each.id for each in served.sessions})
