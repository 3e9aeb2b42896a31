"""Who may connect: pure decisions on [security], a request's headers and query, and a session's first message.

    request ──Origin of a foreign page, not listed──▶ REFUSED_ORIGIN
       ├─ brings a token ──known──▶ ALLOWED, else REFUSED_TOKEN
       └─ brings none ──▶ ASK_FIRST_MESSAGE ──start with a known token──▶ ALLOWED, else REFUSED_TOKEN

The first message is for clients that can't set headers, such as web pages. Only hashes are configured, and nothing here
shows a token in a message, a log line or a repr.
"""

import enum
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from websockets.datastructures import Headers

from wernicke_daemon.config.schema import SecuritySettings
from wernicke_daemon.wire import tokens
from wernicke_daemon.wire.origin import is_this_server

FIRST_MESSAGE_S = 10.0
"""Seconds that a connection without a token in its request has for the message that brings it."""

UNAUTHORIZED = "UNAUTHORIZED"
ORIGIN_REFUSED = "ORIGIN_REFUSED"


class Verdict(enum.Enum):
    ALLOWED = enum.auto()
    REFUSED_TOKEN = enum.auto()
    REFUSED_ORIGIN = enum.auto()
    ASK_FIRST_MESSAGE = enum.auto()


class Refusal(msgspec.Struct, frozen=True):
    """What a client is told. status: of HTTP. code: of the protocol, None where there is none. message: a sentence that
    says what to do."""

    status: int
    code: str | None
    message: str


REFUSALS = {
    Verdict.REFUSED_TOKEN: Refusal(
        401,
        UNAUTHORIZED,
        "A token that this daemon knows is needed: send it in the header Authorization: Bearer TOKEN, "
        "or as token in a start message before anything else.",
    ),
    Verdict.REFUSED_ORIGIN: Refusal(
        403,
        ORIGIN_REFUSED,
        "Web pages from there may not connect; whoever runs the daemon can list their origin in security.origins. "
        "A program that sends its server's name as origin may connect by IP address or localhost instead.",
    ),
}
"""A 401 also needs the header `WWW-Authenticate: Bearer` (RFC 9110, 11.6.1)."""


class _Start(msgspec.Struct):
    """The part of a start message that matters here."""

    type: Literal["start"]
    token: str

    def __repr__(self) -> str:
        return "_Start()"


_start = msgspec.json.Decoder(_Start)


def request(settings: SecuritySettings, headers: Headers, query: Mapping[str, str]) -> Verdict:
    """On a request for a session."""
    if any(_is_foreign(settings, origin, headers) for origin in headers.get_all("Origin")):
        return Verdict.REFUSED_ORIGIN
    if not settings.clients:
        return Verdict.ALLOWED
    token = _token(settings, headers, query)
    return Verdict.ASK_FIRST_MESSAGE if token is None else _verdict(settings, token)


def first_message(settings: SecuritySettings, frame: str | bytes) -> Verdict:
    """On the first frame after ASK_FIRST_MESSAGE."""
    if isinstance(frame, bytes):
        return Verdict.REFUSED_TOKEN
    try:
        token = _start.decode(frame).token
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Verdict.REFUSED_TOKEN
    return _verdict(settings, token)


def may_read_pages(settings: SecuritySettings, headers: Headers, query: Mapping[str, str]) -> bool:
    """Whether to show /stats, and all of /health. Which web pages can read them is a matter of cors_origins."""
    if not settings.clients:
        return True
    return _verdict(settings, _token(settings, headers, query) or "") is Verdict.ALLOWED


def health_without_token(page: Mapping[str, Any]) -> dict[str, Any]:
    """The part of /health that needs no token: enough for a watchdog, and no process ids."""
    return {"status": page["status"]}


def _is_foreign(settings: SecuritySettings, origin: str, headers: Headers) -> bool:
    return origin not in settings.origins and not is_this_server(origin, headers.get_all("Host"))


def _token(settings: SecuritySettings, headers: Headers, query: Mapping[str, str]) -> str | None:
    """The token of a request, None if it brings none, "" for credentials of another kind."""
    given = headers.get_all("Authorization")
    if not given:
        return query.get("token") if settings.in_query else None
    scheme, _, token = given[0].partition(" ")
    return token.strip() if len(given) == 1 and scheme.lower() == "bearer" else ""


def _verdict(settings: SecuritySettings, token: str) -> Verdict:
    return Verdict.ALLOWED if tokens.is_known(token, settings.clients) else Verdict.REFUSED_TOKEN
