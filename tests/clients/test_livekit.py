"""LiveKit's plugin for Deepgram, by the README's lines."""

import asyncio
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests import wire
from tests.clients.conftest import Served, from_readme
from tests.cut_proxy import Cut, cut_proxy
from tests.process.conftest import stored
from tests.talk import TALK, is_right
from tests.waiting import eventually
from wernicke_daemon.evaluation.scoring import Spoken

pytest.importorskip("livekit.plugins.deepgram", reason="needs LiveKit's plugin of the extra `clients`")
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError, APIStatusError
from livekit.agents.stt import SpeechEventType
from livekit.agents.utils import http_context

pytestmark = pytest.mark.asyncio(loop_scope="module")

FINAL, INTERIM = SpeechEventType.FINAL_TRANSCRIPT, SpeechEventType.INTERIM_TRANSCRIPT
PIECE = 1600
"""Samples: 0.1 s."""

ONCE = APIConnectOptions(max_retry=0)


def plugin(host: str, key: str = "") -> Any:
    return from_readme("livekit", host, key)["stt"] if key else from_readme("livekit", host)["stt"]


async def push(stream: Any, samples: wire.Samples, each_s: float = 0.0) -> None:
    """each_s: seconds between tenths of a second; 0 for all at once."""
    for at in range(0, len(samples), PIECE):
        piece = wire.as_int16(samples[at : at + PIECE])
        stream.push_frame(rtc.AudioFrame(piece, 16_000, 1, len(piece) // 2))
        if each_s:
            await asyncio.sleep(each_s)


async def heard(stream: Any) -> list[Any]:
    async with asyncio.timeout(60):
        return [event async for event in stream]


async def test_a_talk_comes_back_with_words_and_speakers(served: Served) -> None:
    """Their end of speech follows each of our utterances, and times are the stream's."""
    async with http_context.open():
        stream = plugin(served.host).stream()
        await push(stream, TALK)
        stream.end_input()
        events = await heard(stream)
    lines = [event.alternatives[0] for event in events if event.type is FINAL]
    assert is_right([Spoken(line.speaker_id, line.text) for line in lines])
    [session] = {event.request_id for event in events if event.type is FINAL}
    kept = stored(served.daemon, session)
    assert [line.text for line in lines] == [segment["text"] for final in kept for segment in final["segments"]]
    assert all(line.words and line.start_time < line.end_time for line in lines)
    assert [line.start_time for line in lines] == sorted(line.start_time for line in lines)
    kinds = [event.type for event in events]
    assert kinds.count(SpeechEventType.START_OF_SPEECH) == kinds.count(SpeechEventType.END_OF_SPEECH) == len(kept)


async def talk_on(stream: Any) -> None:
    """With a flush after each sentence, as soon as its last word is out."""
    while True:
        await push(stream, wire.turn(3, after_s=0.0), each_s=0.1)
        stream.flush()


async def test_text_comes_while_one_speaks_and_a_flush_makes_it_final(served: Served) -> None:
    """LiveKit sends `KeepAlive` by itself, and `Finalize` for a flush: the end of speech does not wait for silence."""
    events = []
    async with http_context.open(), asyncio.timeout(120):
        stream = plugin(served.host).stream()
        talking = asyncio.create_task(talk_on(stream))
        async for event in stream:
            events.append(event)
            kinds = [event.type for event in events if event.type is not SpeechEventType.RECOGNITION_USAGE]
            if {INTERIM, FINAL} < set(kinds) and event.type is SpeechEventType.END_OF_SPEECH:
                break
        talking.cancel()
        await stream.aclose()
    assert kinds[0] is SpeechEventType.START_OF_SPEECH
    assert kinds.count(SpeechEventType.END_OF_SPEECH) <= kinds.count(FINAL)
    [session] = {event.request_id for event in events if event.type in (INTERIM, FINAL)}
    assert "flush" in {final["trigger"] for final in stored(served.daemon, session)}


async def test_a_wrong_key_is_their_status_error(served: Served) -> None:
    async with http_context.open():
        stream = plugin(served.host, "c" * 64).stream(conn_options=ONCE)
        with pytest.raises(APIStatusError) as refused:
            await heard(stream)
    assert refused.value.status_code == 401


async def test_what_was_said_before_the_line_broke_is_kept(served: Served) -> None:
    """LiveKit notices, and would connect again; it is told not to here."""
    before = {session.id for session in served.daemon.sessions}
    cut = Cut(after=len(wire.as_int16(wire.turn(5))))
    async with http_context.open(), cut_proxy(served.port, cut) as port:
        stream = plugin(f"127.0.0.1:{port}").stream(conn_options=ONCE)
        session = (await eventually(lambda: {each.id for each in served.daemon.sessions} - before)).pop()
        await push(stream, np.concatenate([wire.turn(5), wire.turn(5)]))
        with pytest.raises((APIError, aiohttp.ClientError)):
            await heard(stream)
    await eventually(lambda: stored(served.daemon, session))
