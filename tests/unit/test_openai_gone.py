"""Who hangs up while a file is worked on: nothing more is done for them."""

import asyncio
import contextlib
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from tests.waiting import eventually
from wernicke_daemon.config.schema import Config, RuntimeSettings
from wernicke_daemon.web.app import create_app
from wernicke_daemon.web.connections import OpenConnections, PromptHttp, few
from wernicke_daemon.web.openai import routes, upload
from wernicke_daemon.web.setup import Setup
from wernicke_daemon.wire import listening

pytestmark = pytest.mark.asyncio

HALF_A_FORM = (
    b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
)


class BusyFront:
    """Never says anything. asked: once it is."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    @contextlib.asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[Any]:
        self.asked.set()
        await asyncio.Event().wait()
        yield


class OddFront(BusyFront):
    """Takes a session. What was decoded for it is gone by then."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @contextlib.asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[Any]:
        next(self._folder.rglob("samples")).unlink()
        async with serve(lambda line: line.wait_closed(), "127.0.0.1", 0) as front:
            port = next(iter(front.sockets)).getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", proxy=None) as line:
                yield line


@contextlib.asynccontextmanager
async def served(folder: Path, front: BusyFront) -> AsyncIterator[str]:
    (listener,) = few(listening.listeners("127.0.0.1", 0), OpenConnections(9, 9))
    port = listener.getsockname()[1]
    setup = Setup(Config(runtime=RuntimeSettings(data_dir=str(folder))), "", "127.0.0.1", port, "", "secret")
    app = create_app(setup)
    app.state.front = front
    config = uvicorn.Config(app, http=PromptHttp, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    async with await asyncio.get_running_loop().create_server(lambda: PromptHttp(config, state, {}), sock=listener):
        yield f"http://127.0.0.1:{port}"


def sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(32_000))
    return file.getvalue()


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_who_hangs_up_before_there_is_an_answer_makes_room_at_once(stream: str, tmp_path: Path) -> None:
    """For those who wait; and what was uploaded is gone."""
    front = BusyFront()
    async with served(tmp_path, front) as address, httpx.AsyncClient(base_url=address, trust_env=False) as http:
        form: Any = {"data": {"model": "any", "stream": stream}, "files": {"file": ("a.wav", sound())}}
        asking = asyncio.create_task(http.post(routes.PATH, **form, timeout=None))
        await eventually(front.asked.is_set)
        assert routes.ONE_AT_A_TIME.locked() and list(tmp_path.rglob("samples"))
        asking.cancel()
        await eventually(lambda: not routes.ONE_AT_A_TIME.locked())
        assert not list(tmp_path.rglob("samples"))


def decoders() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if upload.DECODER in each.cmdline()]


async def test_no_decoder_works_for_who_has_hung_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even until the next file has its turn."""
    monkeypatch.setattr(upload, "DECODER", "tests.unit.hanging_decoder")
    async with served(tmp_path, BusyFront()) as address, httpx.AsyncClient(base_url=address, trust_env=False) as http:
        form: Any = {"data": {"model": "any"}, "files": {"file": ("a.wav", sound())}}
        asking = asyncio.create_task(http.post(routes.PATH, **form, timeout=None))
        await eventually(decoders)
        asking.cancel()
        await eventually(lambda: not routes.ONE_AT_A_TIME.locked())
        assert not decoders() and not list(tmp_path.rglob("upload"))


async def test_who_hangs_up_while_they_send_a_file_leaves_nothing_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, BusyFront()) as address:
        host, port = address.removeprefix("http://").split(":")
        _, line = await asyncio.open_connection(host, int(port))
        line.write(HALF_A_FORM)
        await eventually(lambda: routes.PLACES._value < 16)
        line.close()
        await eventually(lambda: routes.PLACES._value == 16)
        await asyncio.gather(*(task for task in asyncio.all_tasks() if "run_asgi" in repr(task)))
    assert not caplog.records


async def test_what_goes_wrong_while_a_file_is_sent_makes_room_for_the_next(tmp_path: Path) -> None:
    async with (
        served(tmp_path, OddFront(tmp_path)) as address,
        httpx.AsyncClient(base_url=address, trust_env=False) as http,
    ):
        form: Any = {"data": {"model": "any"}, "files": {"file": ("a.wav", sound())}}
        answer = await http.post(routes.PATH, **form, timeout=60)
    assert answer.status_code == 503 and not routes.ONE_AT_A_TIME.locked()
