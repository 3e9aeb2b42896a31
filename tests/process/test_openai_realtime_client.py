"""The realtime client of OpenAI's own Python package, with nothing but another address, at the real daemon with the
embedded engines."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import soxr
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import wire
from tests.cut_proxy import Cut, cut_proxy
from tests.process.conftest import stored, wanting
from tests.waiting import eventually
from wernicke_daemon.daemon import Daemon
from wernicke_daemon.evaluation.scoring import Spoken, score

openai = pytest.importorskip("openai", reason="needs OpenAI's client of the extra `test`")

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "b" * 64
FRAME = 4800
"""Bytes: 0.1 s of 24 kHz mono."""

TRANSCRIPTION = {"intent": "transcription"}
PAUSE = np.zeros(36_000, np.float32)
TURNS = (0, 3, 5)
"""Of two people, who take turns."""
TALK = np.concatenate([part for number in TURNS for part in (wire.turn(number), PAUSE)])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that wants a key, with its web process."""
    async with wanting(KEY, tmp_path_factory.mktemp("data")) as daemon:
        yield daemon


def client_at(port: int | None, key: str = KEY) -> Any:
    """As `async with`: one that is not closed is closed by the collector, in the event loop of another test."""
    address = f"127.0.0.1:{port}/v1"
    return openai.AsyncOpenAI(api_key=key, base_url=f"http://{address}", websocket_base_url=f"ws://{address}")


@asynccontextmanager
async def stream(
    port: int | None, key: str = KEY, query: dict[str, str] = TRANSCRIPTION, **options: Any
) -> AsyncIterator[Any]:
    async with client_at(port, key) as client, client.realtime.connect(extra_query=query, **options) as line:
        yield line


async def configure(connection: Any, model: str = "gpt-4o-transcribe", **fields: Any) -> Any:
    """Sends the options that every client has, and returns what is in force, or the error."""
    wanted = {"transcription": {"model": model, "language": "en"}, "format": {"type": "audio/pcm", "rate": 24000}}
    session = {"type": "transcription", "audio": {"input": wanted | fields}}
    await connection.session.update(session=session)
    return (await until(connection, lambda event: event.type in ("session.updated", "error")))[-1]


def pcm(samples: wire.Samples) -> bytes:
    return wire.as_int16(soxr.resample(samples, 16_000, 24_000))


async def say(connection: Any, samples: wire.Samples) -> None:
    audio = pcm(samples)
    for at in range(0, len(audio), FRAME):
        await connection.input_audio_buffer.append(audio=base64.b64encode(audio[at : at + FRAME]).decode())


async def until(connection: Any, is_wanted: Callable[[Any], bool]) -> list[Any]:
    """Events up to the first of which that is true."""
    events = list[Any]()
    async with asyncio.timeout(60):
        while not events or not is_wanted(events[-1]):
            events.append(await connection.recv())
    return events


async def completed(connection: Any, count: int = 1) -> list[Any]:
    """Events up to the last of so many completed items."""
    events = list[Any]()
    for _ in range(count):
        events += await until(connection, lambda event: event.type.endswith(".completed"))
    return events


def of(events: list[Any], kind: str) -> list[Any]:
    """Those whose type ends so."""
    return [event for event in events if event.type.endswith(kind)]


async def test_a_talk_comes_back_in_items_with_words_and_speakers(served: Daemon) -> None:
    """Each utterance of the kept transcript is an item, by the stream's clock; the words are those that were said, and
    by whom."""
    async with stream(served.web.port) as line:
        created = (await until(line, lambda event: event.type == "session.created"))[0]
        await configure(line, model="gpt-4o-transcribe-diarize")
        await say(line, TALK)
        events = await completed(line, len(TURNS))
    texts = [event.transcript for event in of(events, ".completed")]
    kept = stored(served, created.session.id)
    assert texts == [final["text"] for final in kept]
    starts, ends = ([1000 * final["timestamp_range"][side] for final in kept] for side in ("start", "end"))
    assert [event.audio_start_ms for event in of(events, ".speech_started")] == pytest.approx(starts, abs=1)
    assert [event.audio_end_ms for event in of(events, ".speech_stopped")] == pytest.approx(ends, abs=1)
    ids = [event.item_id for event in of(events, ".committed")]
    assert [event.item_id for event in of(events, ".completed")] == ids
    assert [event.previous_item_id for event in of(events, ".committed")] == [None, *ids[:-1]]
    for each, text in zip(ids, texts, strict=True):
        assert text == "".join(event.delta for event in of(events, ".delta") if event.item_id == each)
    heard = [Spoken(segment.speaker, segment.text) for segment in of(events, ".segment")]
    turns = [wire.REFERENCE["turns"][number] for number in TURNS]
    judged = score([Spoken(turn["speaker"], turn["text"]) for turn in turns], heard)
    assert judged.error_rate < 0.4 and judged.speaker_errors < 0.1 * judged.compared


async def talk_on(line: Any) -> None:
    """At the pace at which it is said, with pauses in which no utterance ends."""
    samples = wire.turn(5, after_s=1.4)
    while True:
        for at in range(0, len(samples), 1600):
            await say(line, samples[at : at + 1600])
            await asyncio.sleep(0.1)


async def test_text_comes_while_one_speaks_and_a_commit_ends_it(served: Daemon) -> None:
    """Under the id of the item that is committed, of which it is the beginning."""
    async with stream(served.web.port) as line:
        await configure(line, turn_detection=None)
        talking = asyncio.create_task(talk_on(line))
        before = await until(line, lambda event: event.type.endswith(".delta"))
        talking.cancel()
        await line.input_audio_buffer.commit()
        events = await completed(line)
    assert not of(before, ".committed") and not of(before, ".speech_started")
    [committed], [result] = of(events, ".committed"), of(events, ".completed")
    assert before[-1].item_id == committed.item_id == result.item_id
    assert result.transcript.startswith(before[-1].delta) and "plan" in result.transcript


async def test_commits_say_what_an_item_is(served: Daemon) -> None:
    """However many utterances it has, none among them. What was cleared is not told of; without audio there is none."""
    async with stream(served.web.port) as line:
        await configure(line, turn_detection=None)
        await say(line, np.concatenate([wire.turn(0), PAUSE, PAUSE, wire.turn(5)]))
        await line.input_audio_buffer.commit()
        await say(line, PAUSE)
        await line.input_audio_buffer.commit()
        await say(line, wire.turn(3))
        await line.input_audio_buffer.clear()
        await line.input_audio_buffer.commit(event_id="mine")
        error = (await until(line, lambda event: event.type == "error"))[-1].error
        await say(line, wire.turn(5))
        await line.input_audio_buffer.commit()
        events = await completed(line, 3)
    both, silent, last = [event.transcript for event in of(events, ".completed")]
    assert (error.code, error.event_id) == ("input_audio_buffer_commit_empty", "mine")
    assert "good morning" in both and "plan" in both and both.count("\n") == 1
    assert silent == "" and "plan" in last and "customers" not in last


async def test_options_that_are_there_are_in_force_and_others_are_refused_by_name(served: Daemon) -> None:
    """What was sent before may be sent again, as clients do that use a connection once more."""
    transcription = {"model": "x", "language": "en", "prompt": "customers, design", "invented": 1}
    async with stream(served.web.port, model="invented", query={}) as line:
        refused = await configure(line, transcription=transcription | {"language": "english"})
        taken = await configure(line, transcription=transcription, turn_detection={"type": "semantic_vad"})
        await say(line, np.concatenate([wire.turn(3), PAUSE]))
        again = await configure(line, transcription=transcription, turn_detection={"type": "server_vad"})
        other = await configure(line, format={"type": "audio/pcm", "rate": 16000})
        await line.input_audio_buffer.commit()
        [result] = of(await completed(line), ".completed")
    assert refused.error.param == "session.audio.input.transcription.language"
    assert taken.session.audio.input.turn_detection.type == "semantic_vad" and again.type == "session.updated"
    assert "once audio has come" in other.error.message and "customers" in result.transcript


async def test_what_is_not_understood_is_told_and_the_stream_goes_on(served: Daemon) -> None:
    async with stream(served.web.port) as line:
        await configure(line)
        for frame in ("no JSON", b"\0\1", '{"type": "input_audio_buffer.append", "audio": "###"}'):
            await line.send_raw(frame)
        await line.response.create()
        errors = [(await until(line, lambda event: event.type == "error"))[-1].error for _ in range(4)]
        await say(line, wire.turn(5))
        await line.input_audio_buffer.commit()
        [result] = of(await completed(line), ".completed")
    assert {error.type for error in errors} == {"invalid_request_error"}
    assert "response.create" in errors[-1].message and "plan" in result.transcript


async def test_the_beta_client_is_spoken_to_in_its_words(served: Daemon) -> None:
    asked: Any = {"model": "gpt-4o-transcribe", "extra_query": TRANSCRIPTION}
    async with client_at(served.web.port) as client, client.beta.realtime.connect(**asked) as line:
        created = await line.recv()
        await line.transcription_session.update(session={"input_audio_format": "pcm16", "turn_detection": None})
        answered = await line.recv()
        await say(line, wire.turn(5))
        await line.input_audio_buffer.commit()
        events = await completed(line)
    assert (created.type, answered.type) == ("transcription_session.created", "transcription_session.updated")
    assert answered.session.turn_detection is None and answered.session.input_audio_format == "pcm16"
    assert of(events, "conversation.item.created") and "plan" in events[-1].transcript


async def refusal(connecting: Any) -> Any:
    """What stands in the way of a stream: the HTTP answer."""
    with pytest.raises(InvalidStatus) as refused:
        async with connecting:
            pass
    return refused.value.response


async def test_who_can_not_come_in_is_told_why_in_their_way(served: Daemon) -> None:
    answer = await refusal(stream(served.web.port, key="c" * 64))
    assert answer.status_code == 401 and b'"invalid_api_key"' in answer.body and b"token" in answer.body
    answer = await refusal(stream(served.web.port, query={"intent": "conversation"}))
    assert answer.status_code == 400 and b'"param":"intent"' in answer.body
    async with stream(served.web.port), stream(served.web.port):
        answer = await refusal(stream(served.web.port))
    assert answer.status_code == 429 and b'"rate_limit_error"' in answer.body and b"places are taken" in answer.body


async def test_a_browser_brings_its_key_among_the_subprotocols(served: Daemon) -> None:
    offered: Any = ["realtime", f"openai-insecure-api-key.{KEY}"]
    async with connect(f"ws://127.0.0.1:{served.web.port}/v1/realtime", subprotocols=offered) as line:
        assert line.subprotocol == "realtime" and '"session.created"' in await line.recv(decode=True)


async def test_what_a_client_said_before_its_line_broke_is_kept(served: Daemon) -> None:
    """It is worked on at once, as nobody can come back for it."""
    before = {session.id for session in served.sessions}
    cut = Cut(after=round(1.5 * len(pcm(wire.turn(5)))))  # base64 and JSON included, all of it is before that
    async with cut_proxy(served.web.port, cut) as port, stream(port) as line:
        session = (await eventually(lambda: {each.id for each in served.sessions} - before)).pop()
        with pytest.raises(ConnectionClosed):
            await say(line, np.concatenate([wire.turn(5), wire.turn(5), wire.turn(5)]))
            await until(line, lambda event: False)
    await eventually(lambda: stored(served, session))
    await eventually(lambda: session not in {each.id for each in served.sessions})
