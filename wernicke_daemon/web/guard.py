"""What holds for every request before any route sees it: which hosts and origins, how large a body, which headers an
answer carries. Decisions are pure; `Guard` is the thin shell around the app.

- A foreign page may neither ask for anything with effect nor open a WebSocket: Origin has to be the address itself or
  one of security.origins. So a request cannot be forged (CSRF), with cookie or without a login.
- Where nobody has to log in, a name in Host is believed only if nobody else can point it here: a page of evil.example
  may have that name lead to this machine (DNS rebinding), and would then be of the same origin.
- Whatever a page shows is text. Should a mistake put a script into one, the policy keeps it from running.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wernicke_daemon.web import refusals
from wernicke_daemon.wire.origin import is_address

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

LARGEST_BODY = 64 * 1024
"""Bytes of a request's body. A form of ours has a few hundred. Routes that take uploads have limits of their own."""

BODY_S = 30.0
"""Seconds that the next piece of a body may take."""

DISCARDED = 4
"""Times the largest body: what is read of one that is refused."""

DISCARD_S = 5.0
"""Seconds for that: a body that was announced may never come."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; media-src 'self' blob:; manifest-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Content-Security-Policy of all answers that bring none of their own."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all a form of ours would come from "null"
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self), display-capture=(self)",
    "Cache-Control": "no-store",
}
"""Of every answer, where a route does not say otherwise."""

FOREIGN_PAGE = "Web pages from elsewhere may not do that; whoever runs the daemon can list them in security.origins."
FOREIGN_HOST = (
    "This name is not believed, as anybody's page could have it lead here. Open the page by this machine's IP address "
    "or name, or list the address in security.origins."
)
TOO_LARGE = "The request is larger than what is taken here (web.upload_mib of config.toml, for a file)."
TOO_SLOW = "The rest of the request did not come."

LetIn = Callable[[tuple[str, int]], None]
"""Told the address and port of a client that is no stranger."""


def own_names() -> frozenset[str]:
    """What this machine is called by its neighbours; nobody else's page has such a name."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local"} - {""})


def believes_host(hosts: list[str], origins: Collection[str], names: Collection[str]) -> bool:
    """hosts: the request's Host headers. origins: security.origins. names: of this machine."""
    if len(hosts) != 1:
        return False
    try:
        name = (urlsplit(f"//{hosts[0]}").hostname or "").lower()
    except ValueError:
        return False
    return is_address(name) or name in names or any(urlsplit(origin).netloc == hosts[0] for origin in origins)


def is_foreign(origins: list[str], hosts: list[str], listed: Collection[str]) -> bool:
    """Whether a request comes from a page that is neither ours nor listed. origins: its Origin headers; a program sends
    none."""
    own = {f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts}
    return any(origin not in own and origin not in listed for origin in origins)


class Guard:
    """The app, behind those rules."""

    def __init__(
        self, app: ASGIApp, origins: Collection[str], any_host: bool, larger: Mapping[str, int], let_in: LetIn
    ) -> None:
        """origins: security.origins. any_host: names are believed, as nobody gets anything without logging in. larger:
        bytes of a body, by path, where that may be more than LARGEST_BODY. let_in: told of each WebSocket that is
        accepted."""
        self._app = app
        self._origins = origins
        self._any_host = any_host
        self._larger = larger
        self._let_in = let_in
        self._names = own_names()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if (refusal := self._refusal(scope)) is not None:
            await self._refuse(refusal, scope, receive, send)
            return
        unbounded = receive
        if scope["type"] == "http":
            receive, send = _Bounded(receive, self._largest(scope)), _with_headers(send)
        else:
            send = self._telling(scope, send)
        try:
            await self._app(scope, receive, send)
        except _TooLarge:
            await self._refuse((413, TOO_LARGE), scope, unbounded, send)
        except _TooSlow:
            await self._refuse((408, TOO_SLOW), scope, unbounded, send)

    def _telling(self, scope: Scope, send: Send) -> Send:
        async def telling(message: Message) -> None:
            if message["type"] == "websocket.accept" and scope["client"] is not None:
                self._let_in(tuple(scope["client"]))
            await send(message)

        return telling

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if not self._any_host and not believes_host(hosts, self._origins, self._names):
            return 403, FOREIGN_HOST
        has_effect = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if has_effect and is_foreign(headers.getlist("origin"), hosts, self._origins):
            return 403, FOREIGN_PAGE
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > self._largest(scope):
            return 413, TOO_LARGE
        return None

    async def _refuse(self, refusal: tuple[int, str], scope: Scope, receive: Receive, send: Send) -> None:
        """Of a body that is not too large by far the rest is taken: closed with bytes that were not read, the line
        would break before the client has the answer."""
        if refusal == (413, TOO_LARGE):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DISCARD_S):
                    await _discard(receive, DISCARDED * self._largest(scope))
        await _refuse(refusal, scope, receive, send)

    def _largest(self, scope: Scope) -> int:
        return self._larger.get(scope["path"], LARGEST_BODY)


class _TooLarge(Exception):
    """More came than is taken."""


class _TooSlow(Exception):
    """Nothing more came for too long."""


class _Bounded:
    """A request's body, up to its limit. One that declared no length is cut off there."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = most
        self._more = True  # of it is to come; then only the end of the connection

    async def __call__(self) -> Message:
        try:
            async with asyncio.timeout(BODY_S if self._more else None):
                message = await self._receive()
        except TimeoutError:
            raise _TooSlow from None
        if message["type"] == "http.request":
            self._more = message.get("more_body", False)
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise _TooLarge
        return message


async def _discard(receive: Receive, most: int) -> None:
    """most: bytes."""
    more = True
    while more and most > 0:
        message = await receive()
        most -= len(message.get("body", b""))
        more = message.get("more_body", False)


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return with_headers


async def _refuse(refusal: tuple[int, str], scope: Scope, receive: Receive, send: Send) -> None:
    """Of a WebSocket in place of its acceptance."""
    answer = refusals.answer(scope["path"], *refusal)
    answer.headers.update(HEADERS | {"Connection": "close"})
    await answer(scope, receive, send)
