"""The web process over real sockets: who gets what, what it refuses, and that it takes nothing down with it."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests import wire
from tests.process.conftest import embedded, free_port
from tests.waiting import eventually
from wernicke_daemon.config.schema import SecuritySettings, WebSettings
from wernicke_daemon.daemon import Daemon, running
from wernicke_daemon.tuning import log_files
from wernicke_daemon.web_launch import SECRET_FILE
from wernicke_daemon.wire import tls, tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "0123456789abcdef" * 4
EVIL = "https://evil.example"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SPEECH = wire.turn(0).astype("<f4").tobytes()
LISTENS = f"{wire.MONO}&language=en"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """With pages, for those who have a token."""
    security = SecuritySettings(clients=(tokens.hash_of(TOKEN),))
    config = embedded(tmp_path_factory.mktemp("data"), security=security, web=WebSettings(port=0))
    async with running(config, lambda line: None, pages=True) as daemon:
        await eventually(lambda: answers(daemon))
        yield daemon


def pages(daemon: Daemon, **options: Any) -> httpx.AsyncClient:
    address = f"http://127.0.0.1:{daemon.web.port}"
    return httpx.AsyncClient(base_url=address, trust_env=False, timeout=60, **options)


async def answers(daemon: Daemon) -> bool:
    async with pages(daemon) as http:
        with contextlib.suppress(httpx.HTTPError):
            return (await http.get("/login")).status_code == 200
    return False


def viewing(daemon: Daemon, path: str = "/live/socket", **headers: str) -> connect:
    address = f"ws://127.0.0.1:{daemon.web.port}{path}"
    return connect(address, additional_headers=headers, compression=None, max_size=None, open_timeout=60)


async def test_a_stranger_gets_nothing_but_the_login(guarded: Daemon) -> None:
    """No page, no words of anybody, no figures; whatever is asked for."""
    async with pages(guarded) as http:
        for path in ("/", "/transcripts", "/sessions", "/search?q=a", "/docs", "/openapi.json", "/live/name"):
            page = await http.get(path, headers={"Accept": "text/html"})
            assert (page.status_code, "token" in page.text) in ((401, True), (405, False)), path
        assert (await http.get("/sessions")).json().keys() == {"error"}
        assert (await http.get("/", headers={"Authorization": "Bearer " + "0" * 64})).status_code == 401
        assert (await http.post("/live/name", json={})).status_code == 401
    for path in ("/live/socket", "/transcribe"):
        with pytest.raises(InvalidStatus, match="403"):
            async with viewing(guarded, path):
                pass


async def test_a_login_is_a_cookie_that_no_script_and_no_other_page_has(guarded: Daemon) -> None:
    """It holds no token, lets in after the web process was killed, and not once it is changed."""
    async with pages(guarded) as http:
        assert (await http.post("/login", data={"token": "wrong"})).status_code == 401
        answer = await http.post("/login", data={"token": TOKEN, "wanted": "//evil.example/"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and TOKEN not in cookie
        assert (await http.get("/")).status_code == 200
        assert guarded.web.pid is not None
        before = psutil.Process(guarded.web.pid)
        before.kill()
        await eventually(lambda: guarded.web.pid not in (None, before.pid))
        await eventually(lambda: answers(guarded))
        assert (await http.get("/")).status_code == 200
        [(name, value)] = http.cookies.items()
        http.cookies.clear()
        forged = value[:-1] + ("0" if value[-1] != "0" else "1")
        later = str(int(value.partition(".")[0]) + 1) + value[value.index(".") :]
        for wrong in (forged, later, "", "1.2", "é"):
            answer = await http.get("/", headers={"Cookie": f"{name}={wrong}".encode()})
            assert answer.status_code == 401, wrong


async def test_no_foreign_page_has_anything_done(guarded: Daemon) -> None:
    """Not with a cookie, not with a token; nor is it let near a socket, nor framed."""
    async with pages(guarded, headers=BEARER) as http:
        naming = {"session": "s", "speaker": "Speaker_00", "name": "A"}
        assert (await http.post("/live/name", json=naming, headers={"Origin": EVIL})).status_code == 403
        assert (await http.post("/login", data={"token": TOKEN}, headers={"Origin": "null"})).status_code == 403
        own = {"Origin": f"http://127.0.0.1:{guarded.web.port}"}
        assert (await http.post("/live/name", json=naming, headers=own)).status_code == 409  # there is no such session
        policy = (await http.get("/")).headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy and "default-src 'none'" in policy
    for path in ("/live/socket", "/transcribe"):
        with pytest.raises(InvalidStatus, match="403"):
            async with viewing(guarded, path, Origin=EVIL, **BEARER):
                pass


async def announcing(daemon: Daemon, size: int) -> str:
    """The first line of the answer to a request whose body is said to be so large."""
    assert daemon.web.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.web.port)
    host = f"Host: 127.0.0.1:{daemon.web.port}"
    writer.write(f"POST /login HTTP/1.1\r\n{host}\r\nContent-Length: {size}\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    return line.decode().strip()


async def test_an_upload_is_not_taken_in(guarded: Daemon) -> None:
    """Ten gigabytes are refused when they are announced, and cut off where they are not; what is packed stays so."""
    async with pages(guarded, headers=BEARER) as http:
        assert (await announcing(guarded, 10 * 1024**3)).startswith("HTTP/1.1 413 ")
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while sent < 10 * 1024**3:
                sent += 65536
                yield bytes(65536)

        with contextlib.suppress(httpx.HTTPError):
            assert (await http.post("/login", content=endless())).status_code == 413
        assert sent < 64 * 1024**2
        bomb = gzip.compress(bytes(20 * 1024**2))
        packed = await http.post("/login", content=bomb, headers={"Content-Encoding": "gzip"})
        assert packed.status_code in (401, 413)
    assert guarded.web.pid is not None
    assert psutil.Process(guarded.web.pid).memory_info().rss < 400 * 1024**2


@pytest.mark.parametrize("path", ["/static/../web/access.py", "/static/%2e%2e/access.py", "/static//etc/passwd"])
async def test_no_path_leads_out(guarded: Daemon, path: str) -> None:
    """Of the folder of our own files."""
    async with pages(guarded, headers=BEARER) as http:
        assert (await http.get(path)).status_code in (404, 405)


async def test_two_hundred_pages_that_read_nothing_hold_up_nobody(guarded: Daemon) -> None:
    """One more is told to come later. Speech has its results as ever, and who reads along has them, too; so does who
    speaks through the web process."""
    async with contextlib.AsyncExitStack() as stack:
        reader = await stack.enter_async_context(viewing(guarded, **BEARER))
        for _ in range(199):
            slow = await stack.enter_async_context(viewing(guarded, **BEARER))
            slow.transport.pause_reading()
        async with viewing(guarded, **BEARER) as late:
            with pytest.raises(ConnectionClosed) as closed:
                await late.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
        async with viewing(guarded, f"/transcribe?{LISTENS}", **BEARER) as client:
            await client.send(SPEECH)
            await client.send('{"type": "stop"}')
            messages = await wire.until(client, "session_ended")
        [final] = wire.finals(messages)
        seen = ""
        while seen != final["text"]:
            message = await wire.receive(reader)
            if message["type"] == "watched" and message["message"]["type"] == "final":
                seen = message["message"]["text"]


async def test_requests_that_never_end_keep_nobody_out(guarded: Daemon) -> None:
    """More than the process has room for, half of them in the head, half in the body. Who reads along goes on, others
    come in."""
    async with contextlib.AsyncExitStack() as stack:
        reader = await stack.enter_async_context(viewing(guarded, **BEARER))
        for number in range(300):
            _, writer = await asyncio.open_connection("127.0.0.1", guarded.web.port)
            stack.callback(writer.close)
            writer.write(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            writer.write(b"Content-Length: 9\r\n\r\nto" if number % 2 else b"Content-")
        async with pages(guarded) as http:
            assert (await http.get("/login")).status_code == 200
            assert (await http.get("/sessions", headers=BEARER)).status_code == 200
        async with viewing(guarded, **BEARER) as another:
            await wire.receive(another)
        await reader.ping()


async def test_figures_of_what_was_said(guarded: Daemon) -> None:
    """/metrics counts it, and its line in the log tells the report what its result waited for."""
    async with viewing(guarded, f"/transcribe?{LISTENS}", **BEARER) as client:
        await client.send(SPEECH)
        await client.send('{"type": "stop"}')
        await wire.until(client, "session_ended")
    async with pages(guarded, headers=BEARER) as http:
        scraped = {metric.name: metric for metric in text_string_to_metric_families((await http.get("/metrics")).text)}
        page = (await http.get("/tuning?since=15m")).text
    [finals] = scraped["wernicke_finals"].samples
    waits = scraped["wernicke_trigger_to_final_seconds"].samples
    waited = {each.name: each.value for each in waits if "le" not in each.labels}
    assert finals.value >= 1
    assert waited["wernicke_trigger_to_final_seconds_count"] == finals.value
    assert waited["wernicke_trigger_to_final_seconds_sum"] > 0
    found = log_files.summarised(log_files.of_log(guarded._config.log_path))
    assert len(found.summary.waits) == found.summary.utterances == finals.value
    assert found.summary.faults == {}
    assert page.count("<svg") >= 6


async def test_no_token_is_in_any_log(guarded: Daemon) -> None:
    """Neither in what was written until now, nor in what a wrong request leaves."""
    async with pages(guarded) as http:
        await http.get(f"/sessions?token={TOKEN}")
        await http.get(f"/nothing/{TOKEN}", headers=BEARER)
    log = guarded._config.log_path.read_text(encoding="utf-8")
    secret = (guarded._config.data_path / SECRET_FILE).read_text()
    assert TOKEN not in log and guarded.web._token not in log and secret not in log
    assert json.loads(log.splitlines()[0])


# --- daemons of their own: from here on the log of the one above is theirs ---


async def test_with_a_certificate_everything_is_encrypted(tmp_path: Path) -> None:
    """Pages and their sockets by the daemon's own files; the way to the front by the same; a cookie goes no other
    way. It lets in after the daemon was started again."""
    certificate, key = tls.make_certificate(tmp_path / "made", [], now=datetime.now(UTC))
    security = SecuritySettings((tokens.hash_of(TOKEN),), certificate_file=str(certificate), key_file=str(key))
    config = embedded(tmp_path / "data", security=security, web=WebSettings(port=free_port()))
    context = tls.client_context(certificate)
    async with running(config, lambda line: None, pages=True) as daemon:
        address = f"https://127.0.0.1:{daemon.web.port}"
        async with httpx.AsyncClient(base_url=address, verify=context, trust_env=False) as http:
            answer = await eventually(lambda: logged_in(http))
            assert "Secure" in answer.headers["set-cookie"]
            cookies = http.cookies
        socket = connect(address.replace("https", "wss") + "/live/socket", additional_headers=BEARER, ssl=context)
        async with socket as page:
            await wire.until(page, "snapshot")  # it has come from the front
    async with (
        running(config, lambda line: None, pages=True),
        httpx.AsyncClient(base_url=address, verify=context, trust_env=False, cookies=cookies) as http,
    ):
        assert await eventually(lambda: status_of(http, "/")) == 200


async def status_of(http: httpx.AsyncClient, path: str) -> int | None:
    with contextlib.suppress(httpx.HTTPError):
        return (await http.get(path)).status_code
    return None


async def logged_in(http: httpx.AsyncClient) -> httpx.Response | None:
    with contextlib.suppress(httpx.HTTPError):
        answer = await http.post("/login", data={"token": TOKEN})
        return answer if answer.status_code == 303 else None
    return None


async def test_a_name_is_not_believed_where_nobody_logs_in(tmp_path: Path) -> None:
    """Anybody's page could have its own name lead here. An address, and this machine's name, are."""
    config = embedded(tmp_path, web=WebSettings(port=0))
    async with running(config, lambda line: None, pages=True) as daemon:
        await eventually(lambda: answers(daemon))
        async with pages(daemon) as http:
            assert (await http.get("/", headers={"Host": f"evil.example:{daemon.web.port}"})).status_code == 403
            assert (await http.get("/", headers={"Host": f"localhost:{daemon.web.port}"})).status_code == 200
        async with httpx.AsyncClient(trust_env=False) as http:
            leads = await http.get(f"http://127.0.0.1:{daemon.port}/")
            assert leads.headers["location"] == f"http://127.0.0.1:{daemon.web.port}/"
