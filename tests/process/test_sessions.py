"""Sessions over a real WebSocket with the real daemon: what goes in, what comes back, what is refused."""

import asyncio
import contextlib
import json
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import wire
from tests.waiting import eventually
from wernicke_daemon.daemon import Daemon

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def page(daemon: Daemon, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{daemon.port}{path}", headers=headers)


async def test_a_whole_file_in_one_frame_answers_with_segments_and_language_first(daemon: Daemon) -> None:
    """The original client asks for nothing, sends everything at once and reads one message."""
    audio = wire.as_mac_sends(np.concatenate([wire.turn(0), np.zeros(16_000 * 3, np.float32)]))
    async with wire.open_socket(daemon.port) as socket:
        await socket.send(audio)
        first = await wire.receive(socket)
    assert first["type"] == "final"
    assert first["segments"] and first["language"] == "en"
    assert first["trigger"] == "silence"


async def test_the_same_speech_gives_the_same_words_in_every_format(daemon: Daemon) -> None:
    """48 kHz stereo and 16 kHz mono, float and integer, are one utterance to the recogniser."""
    speech = wire.turn(3)
    sent = {
        "sample_rate=48000&channels=2": wire.as_mac_sends(speech),
        wire.MONO: speech.astype("<f4").tobytes(),
        f"{wire.MONO}&encoding=s16le": wire.as_int16(speech),
    }
    texts = [wire.finals(await wire.transcribe(daemon.port, audio, query))[0]["text"] for query, audio in sent.items()]
    assert texts[0] == texts[1] == texts[2]
    assert "customers" in texts[0]


async def test_frames_may_end_in_mid_sample(daemon: Daemon) -> None:
    """Frames of an odd number of bytes give the words of the whole."""
    audio = wire.turn(5).astype("<f4").tobytes()
    whole = wire.finals(await wire.transcribe(daemon.port, audio))
    odd = wire.finals(await wire.transcribe(daemon.port, audio, frame_bytes=9_999))
    assert [final["text"] for final in odd] == [final["text"] for final in whole]
    assert whole[0]["text"]


async def test_five_clients_at_once_get_their_own_words(daemon: Daemon) -> None:
    """Five different utterances side by side come back to whom they belong."""
    turns = (0, 2, 3, 4, 6)
    audio = [wire.turn(number).astype("<f4").tobytes() for number in turns]
    alone = [wire.finals(await wire.transcribe(daemon.port, data))[0]["text"] for data in audio]
    together = await asyncio.gather(*(wire.transcribe(daemon.port, data) for data in audio))
    assert [wire.finals(messages)[0]["text"] for messages in together] == alone
    assert len(set(alone)) == 5


async def test_every_field_of_a_final(daemon: Daemon) -> None:
    """A final holds what docs/protocol.md promises."""
    final = wire.finals(await wire.transcribe(daemon.port, wire.turn(2).astype("<f4").tobytes()))[0]
    assert set(final) == {
        "type", "session_id", "buffer_id",
        "doubtful", "sequence", "revision", "text", "segments", "timestamp_range", "wall_start",
        "language", "duration", "processing_time", "latency_ms", "trigger", "models_used", "warnings",
    }  # fmt: skip
    segment = final["segments"][0]
    assert set(segment) == {"start", "end", "text", "speaker", "corrected", "original_text", "words"}
    assert set(segment["words"][0]) == {"start", "end", "word", "score", "speaker"}
    assert segment["speaker"] == "Speaker_00"
    assert 0 <= segment["start"] < segment["end"] <= final["duration"]
    assert final["models_used"]["llm"] is None and final["models_used"]["whisper"]


async def test_events_come_only_to_those_who_ask(daemon: Daemon) -> None:
    """With every event asked for, the session's story is complete and the partial precedes the final."""
    audio = wire.turn(2).astype("<f4").tobytes()
    told = [message["type"] for message in await wire.transcribe(daemon.port, audio, f"{wire.MONO}&events=all")]
    assert told[0] == "connection_established" and told[-1] == "session_ended"
    assert told.index("partial") < told.index("final") and "audio_received" in told
    silent = [message["type"] for message in await wire.transcribe(daemon.port, audio)]
    assert silent == ["final", "session_ended"]


async def test_start_message_sets_the_format_and_turns_words_off(daemon: Daemon) -> None:
    """What the query can say, a first message can."""
    start = {"type": "start", "sample_rate": 16000, "channels": 1, "encoding": "s16le", "words": False}
    async with wire.open_socket(daemon.port) as socket:
        await socket.send(json.dumps(start))
        await socket.send(wire.as_int16(wire.turn(5)))
        await socket.send('{"type": "flush"}')
        final = (await wire.until(socket, "final"))[-1]
        assert final["trigger"] == "flush" and "words" not in final["segments"][0]
        await socket.send(json.dumps(start))
        assert (await wire.receive(socket))["code"] == "INVALID_MESSAGE"


async def test_silence_alone_gives_no_result(daemon: Daemon) -> None:
    """Digital silence never becomes an utterance."""
    messages = await wire.transcribe(daemon.port, wire.silence(4.0), f"{wire.MONO}&events=suppressed")
    assert [message["type"] for message in messages] == ["session_ended"]


async def test_a_pause_in_which_nothing_is_sent_ends_an_utterance(daemon: Daemon) -> None:
    """The Mac client withholds silent chunks: 2 s without frames are 2 s of silence."""
    async with wire.open_socket(daemon.port, wire.MONO) as socket:
        await socket.send(wire.turn(5, after_s=0.0).astype("<f4").tobytes())
        final = (await wire.until(socket, "final"))[-1]
    assert final["trigger"] == "silence"


async def test_numbers_that_are_no_audio_are_refused_and_the_session_goes_on(daemon: Daemon) -> None:
    """A frame of NaN costs an error and nothing else."""
    audio = wire.turn(5).astype("<f4").tobytes()
    async with wire.open_socket(daemon.port, wire.MONO) as socket:
        await socket.send(np.full(1600, np.nan, "<f4").tobytes())
        refused = await wire.receive(socket)
        assert (refused["type"], refused["code"]) == ("error", "INVALID_AUDIO_FORMAT")
        await socket.send(audio)
        await socket.send('{"type": "stop"}')
        told = await wire.until(socket, "session_ended")
    undisturbed = wire.finals(await wire.transcribe(daemon.port, audio))
    assert [final["text"] for final in wire.finals(told)] == [final["text"] for final in undisturbed]


async def test_a_text_frame_that_means_nothing_is_refused_and_the_session_goes_on(daemon: Daemon) -> None:
    """An unknown message costs an error and nothing else."""
    async with wire.open_socket(daemon.port, wire.MONO) as socket:
        await socket.send("hello")
        assert (await wire.receive(socket))["code"] == "INVALID_MESSAGE"
        await socket.send('{"type": "keepalive"}')
        await socket.send('{"type": "stop"}')
        assert (await wire.receive(socket))["type"] == "session_ended"


async def test_the_sixth_client_is_told_to_come_back(daemon: Daemon) -> None:
    """Accepted, told SERVER_OVERLOADED in words, closed with 1013; a place that is left can be taken."""
    sockets = [await wire.open_socket(daemon.port, f"{wire.MONO}&events=session") for _ in range(5)]
    for socket in sockets:
        assert (await wire.receive(socket))["type"] == "connection_established"
    async with wire.open_socket(daemon.port, wire.MONO) as sixth:
        refused = await wire.receive(sixth)
        assert refused["code"] == "SERVER_OVERLOADED" and refused["retry_after_s"] > 0
        with pytest.raises(ConnectionClosed) as closed:
            await sixth.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
    await sockets[0].send('{"type": "stop"}')
    await wire.until(sockets[0], "session_ended")
    await sockets[0].wait_closed()
    async with wire.open_socket(daemon.port, f"{wire.MONO}&events=session") as again:
        assert (await wire.receive(again))["type"] == "connection_established"
    for socket in sockets[1:]:
        await socket.close()


async def test_a_recording_that_can_wait_takes_nobodys_place(daemon: Daemon) -> None:
    """One, whether it or the others come first; it is told so by its address or later."""
    async with contextlib.AsyncExitStack() as stack:

        async def come(query: str = "") -> tuple[ClientConnection, str]:
            opening = wire.open_socket(daemon.port, f"{wire.MONO}&events=session{query}")
            socket = await stack.enter_async_context(opening)
            return socket, (await wire.receive(socket))["type"]

        waits, _ = await come()
        await waits.send('{"type": "start", "background": true}')
        await eventually(lambda: any(session.options.background for session in daemon.sessions))
        assert {(await come())[1] for _ in range(5)} == {"connection_established"}
        assert (await come())[1] == (await come("&background=true"))[1] == "error"
        await waits.send('{"type": "stop"}')
        await wire.until(waits, "session_ended")
        await waits.wait_closed()
        assert (await come())[1] == "error"
        assert (await come("&background=true"))[1] == "connection_established"
        assert (await come("&background=true"))[1] == "error"


async def test_who_comes_while_something_is_lacking_is_told(daemon: Daemon) -> None:
    """Those who asked, in the address or later, with or without a greeting; else `restored` would be the first word."""
    daemon.status.shed_changed(2)
    try:
        for query, start in (("events=status,session", {}), ("events=status", {}), ("", {"events": ["status"]})):
            async with wire.open_socket(daemon.port, f"{wire.MONO}&{query}") as socket:
                await socket.send(json.dumps({"type": "start", **start}))
                lacking = [await next_overload(socket) for _ in range(2)]
                assert [message["stage"] for message in lacking] == ["partials", "correction"]
                assert {message["type"] for message in lacking} == {"degraded"}
    finally:
        daemon.status.shed_changed(0)


async def next_overload(socket: ClientConnection) -> dict[str, Any]:
    """On a busy machine stages may be slow besides."""
    while (message := await wire.receive(socket)).get("reason") != "overload":
        pass
    return message


async def test_what_a_retry_cannot_mend_is_an_http_refusal(daemon: Daemon) -> None:
    """Wrong path: 404. A format that does not exist: 400. Each with a sentence."""
    for address, status in (("/nowhere", 404), ("/transcribe?sample_rate=7", 400), ("/transcribe?events=x", 400)):
        with pytest.raises(InvalidStatus) as refused:
            async with wire.connect(f"ws://127.0.0.1:{daemon.port}{address}"):
                pass
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body or b"")["error"]


async def test_health_and_stats(daemon: Daemon) -> None:
    """The two pages say what runs and how it has been going."""
    health = await eventually(lambda: page_of_all_well(daemon), within=90.0)
    assert set(health.json()["stages"]) == {"ingest", "asr", "diarization", "correction"}
    assert all(stage["state"] == "ready" and stage["pid"] for stage in health.json()["stages"].values())
    await wire.transcribe(daemon.port, wire.turn(5).astype("<f4").tobytes())
    stats = (await page(daemon, "/stats")).json()
    assert stats["total_transcriptions"] >= 1 and stats["average_processing_time"] > 0
    assert stats["stages"]["asr"]["run_ms"]["p50"] > 0


async def page_of_all_well(daemon: Daemon) -> httpx.Response | None:
    """None where a stage was slow just before, as the machine was busy."""
    health = await page(daemon, "/health")
    assert health.status_code == 200
    return health if health.json()["status"] == "ok" else None


async def test_foreign_pages_may_not_read_the_pages(daemon: Daemon) -> None:
    """Without cors_origins no origin is let in."""
    health = await page(daemon, "/health", {"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in health.headers
