"""The way from the web process to the front: its pages, and what only the front may write.

Everything goes over the front's own port, as any client's does. `client.Client` and `connecting` are for audio.
"""

import ssl
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from wernicke_daemon.client.connecting import authorization
from wernicke_daemon.web.setup import Setup

TIMEOUT_S = 10.0
"""For the front to answer; it is on this machine."""

PING_TIMEOUT_S = 300.0
"""A front that works through a file that was sent at once reads on, pings included, when there is room: as long as its
own idle limit."""

SESSIONS = "/transcribe"
EDIT = "/edit"

LARGEST_MESSAGE = 64 * 1024 * 1024
"""Bytes: a session with a thousand results, without word times, is some of one MiB."""


class FrontAway(Exception):
    """The front does not answer: the daemon starts, stops or is very busy."""


class NotDone(Exception):
    """The front did not do what it was asked to. The text is a sentence for people."""


class Front:
    """One for the process. Every method may be called at any time by any task."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._headers = authorization(setup.token)  # lets this process in
        self._tls = _tls(setup)
        self._http = httpx.AsyncClient(
            base_url=setup.front,
            headers=self._headers,
            timeout=TIMEOUT_S,
            verify=True if self._tls is None else self._tls,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def page(self, path: str) -> dict[str, Any]:
        """`/health` or `/stats`, as a dictionary. Raises FrontAway."""
        try:
            answer = await self._http.get(path)
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            raise FrontAway(str(error)) from None

    async def edit(self, message: dict[str, Any]) -> None:
        """Ask for a change of what is kept, such as `{"type": "name", "session_id": …, "speaker": …, "name": …}` or
        `{"type": "delete", "session_id": …}`; returns when it is done. Raises NotDone or FrontAway."""
        try:
            async with self.socket(EDIT) as socket:
                await socket.send(msgspec.json.encode(message).decode())
                answer = msgspec.json.decode(await socket.recv(), type=dict[str, Any])
        except (OSError, TimeoutError, WebSocketException, msgspec.DecodeError) as error:
            raise FrontAway(str(error)) from None
        if answer.get("type") == "error":
            raise NotDone(str(answer.get("message")))

    def socket(self, path: str) -> connect:
        """A WebSocket of the front, as `async with`. path: with its query. Raises OSError, TimeoutError and
        WebSocketException."""
        return connect(
            self._setup.front.replace("http", "ws", 1) + path,
            additional_headers=self._headers,
            ssl=self._tls,
            compression=None,
            proxy=None,
            open_timeout=TIMEOUT_S,
            ping_timeout=PING_TIMEOUT_S,
            max_size=LARGEST_MESSAGE,
        )


FrontSocket = ClientConnection


def _tls(setup: Setup) -> ssl.SSLContext | None:
    """Trusts the daemon's own certificate alone, whatever name stands in it; None without TLS."""
    files = setup.config.tls_files
    if files is None:
        return None
    context = ssl.create_default_context(cafile=files[0])
    context.check_hostname = False  # 127.0.0.1 is in few certificates
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # its own certificate will do, whoever issued it
    return context
