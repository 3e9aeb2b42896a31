"""OpenAI's own Python client, with nothing but another address, at the real daemon with the embedded engines."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from msgspec.structs import replace
from websockets.asyncio.client import connect

from tests import wire
from tests.cut_proxy import Cut, cut_proxy
from tests.process.conftest import embedded, pages_up
from tests.waiting import eventually
from wernicke_daemon.config.schema import SecuritySettings, WebSettings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.wire import tokens

openai = pytest.importorskip("openai", reason="needs OpenAI's client of the extra `test`")

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "b" * 64
TWO = np.concatenate([wire.turn(0), np.zeros(24_000, np.float32), wire.turn(5)])
"""Two utterances."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A daemon that wants a key and takes small files, with its web process."""
    config = replace(
        embedded(tmp_path_factory.mktemp("data"), max_connections=2),
        web=WebSettings(port=0, upload_mib=1, upload_s=60.0),
        security=SecuritySettings(clients=(tokens.hash_of(KEY),)),
    )
    async with running(config, lambda line: None, pages=True) as daemon:
        await pages_up(daemon)
        yield daemon
        await eventually(lambda: not daemon.gateway.active)


def client_at(port: int | None, key: str = KEY) -> Any:
    """As `async with`: one that is not closed is closed by the collector, in the event loop of another test."""
    return openai.AsyncOpenAI(api_key=key, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(served: Daemon) -> AsyncIterator[Any]:
    async with client_at(served.web.port) as client:
        yield client


def wav(samples: wire.Samples, rate: int = 16_000) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(wire.as_int16(samples))
    file.seek(0)
    file.name = "talk.wav"
    return file


async def made(client: Any, response_format: str, **options: Any) -> Any:
    create = client.audio.transcriptions.create
    asked = {"model": "whisper-1", "language": "en", "response_format": response_format}
    return await create(file=wav(TWO), **(asked | options))


async def test_a_file_in_every_format(client: Any) -> None:
    """One text in all of them; times and speakers where the format has them."""
    text = (await made(client, "json", prompt="What follows is a talk that goes on.", temperature=0.2)).text
    assert "good morning" in text and "plan" in text
    assert (await made(client, "text")) == f"{text}\n"
    verbose = await made(client, "verbose_json", timestamp_granularities=["word"])
    assert verbose.text == text and verbose.duration == pytest.approx(len(TWO) / 16_000, abs=0.01)
    assert [segment.text for segment in verbose.segments] == text.split("\n")
    assert [word.word for word in verbose.words] == text.split()
    assert verbose.segments[0].end < verbose.segments[1].start < verbose.words[-1].end < verbose.duration
    diarized = await made(client, "diarized_json")
    assert {segment.speaker for segment in diarized.segments} == {"A"} and diarized.text == text
    assert [segment.start for segment in diarized.segments] == [segment.start for segment in verbose.segments]
    assert (await made(client, "srt")).startswith("1\n00:00:00,") and "WEBVTT" in await made(client, "vtt")


async def test_text_comes_as_it_is_made(client: Any) -> None:
    """An event for each utterance, and all of it at the end."""
    stream = await made(client, "diarized_json", stream=True)
    events = [event async for event in stream]
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) == 2 and events[-1].type == "transcript.text.done" and "".join(deltas) == events[-1].text
    assert [event.speaker for event in events if event.type == "transcript.text.segment"] == ["A", "A"]


async def test_who_hangs_up_makes_room_for_the_next(served: Daemon, client: Any) -> None:
    """Files are worked on one after another; what was sent is worked on to its end."""
    stream = await made(client, "json", stream=True)
    assert (await anext(aiter(stream))).type == "transcript.text.delta"
    await stream.close()
    assert "plan" in (await made(client, "json")).text
    await eventually(lambda: not list(served.sessions))


async def pieces(file: io.BytesIO) -> AsyncIterator[bytes]:
    while piece := file.read(10_000):
        yield piece


async def test_a_form_of_unknown_length(served: Daemon) -> None:
    """As Open WebUI sends it, in pieces, and with nothing but the model."""
    form = aiohttp.FormData({"model": "whisper-1"})
    form.add_field("file", pieces(wav(TWO)), filename="10d8d67b.wav")
    address = f"http://127.0.0.1:{served.web.port}/v1/audio/transcriptions"
    key = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession() as http, http.post(address, data=form, headers=key) as answer:
        assert answer.status == 200 and "plan" in (await answer.json())["text"]


async def test_a_line_that_breaks_while_a_file_is_sent(served: Daemon, client: Any) -> None:
    """Nothing comes of it, and the next is served."""
    assert served.web.port is not None
    async with cut_proxy(served.web.port, Cut(after=100_000)) as port, client_at(port) as cut_off:
        with pytest.raises(openai.APIConnectionError):
            await made(cut_off, "json")
    assert "plan" in (await made(client, "json")).text


async def test_too_many_files_are_told_so(served: Daemon, client: Any) -> None:
    """Sixteen may wait, the one that is worked on among them."""
    first = asyncio.create_task(made(client, "json"))
    await eventually(lambda: list(served.sessions))
    create = client.audio.transcriptions.create
    files = [create(file=wav(np.zeros(8000, np.float32)), model="whisper-1") for _ in range(19)]
    answers = await asyncio.gather(*files, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(refused) == 4 and all(isinstance(each, openai.RateLimitError) for each in refused)
    assert "Too many files" in str(refused[0]) and "plan" in (await first).text


async def test_where_all_places_are_taken_one_file_is_done_all_the_same(served: Daemon, client: Any) -> None:
    """Where one is at work already that can wait, the next is refused, with what a daemon says that has no place."""
    key = {"Authorization": f"Bearer {KEY}"}
    address = f"ws://127.0.0.1:{served.port}/transcribe?events=session"
    async with connect(address, additional_headers=key) as one, connect(address, additional_headers=key) as other:
        await one.recv()
        await other.recv()
        assert "plan" in (await made(client, "json")).text
        async with connect(f"{address}&background=true", additional_headers=key) as third:
            await third.recv()
            with pytest.raises(openai.RateLimitError, match="All 2 places are taken"):
                await made(client, "json")


async def test_models_are_listed(client: Any) -> None:
    assert "whisper-1" in [model.id async for model in client.models.list()]


async def test_what_can_not_be_done_is_said_in_their_way(served: Daemon, client: Any) -> None:
    """Their exceptions, with our sentence."""
    async with client_at(served.web.port, "c" * 64) as stranger:
        with pytest.raises(openai.AuthenticationError, match="token that this daemon knows"):
            await stranger.models.list()
    create = client.audio.transcriptions.create
    with pytest.raises(openai.BadRequestError, match="can't be read") as unreadable:
        await create(file=("talk.wav", b"no sound at all" * 100), model="whisper-1")
    assert unreadable.value.param == "file"
    with pytest.raises(openai.BadRequestError, match="response_format must be one of"):
        await made(client, "sub")
    with pytest.raises(openai.BadRequestError, match="language"):
        await made(client, "json", language="english!")
    with pytest.raises(openai.BadRequestError, match=r"longer than 60 s"):
        await create(file=wav(np.zeros(8000 * 62, np.float32), 8000), model="whisper-1")
    with pytest.raises(openai.APIStatusError, match="larger") as large:
        await create(file=wav(np.zeros(16_000 * 90, np.float32)), model="whisper-1")
    assert large.value.status_code == 413
