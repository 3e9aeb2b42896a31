"""What a client asks for with its HTTP request: the address is parsed and access judged here, once; pure.

A request for a page is answered and its connection ends. A request for a session begins a WebSocket, whose connection
keeps what was read here (`transport.ClientSocket.asked`).
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec.structs import replace
from websockets.datastructures import Headers

from ipc.errors import WernickeError
from wernicke_daemon.config.schema import Config
from wernicke_daemon.gateway import access
from wernicke_daemon.gateway.access import Refusal, Verdict
from wernicke_daemon.gateway.http_response import METHODS, NOT_ALLOWED
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.utterances.voices_clustering import Count
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Start
from wernicke_daemon.wire.redaction import public

SESSIONS = "/transcribe"
HOME = "/"
WATCH = "/watch"
EDIT = "/edit"
HEALTH = "/health"
STATS = "/stats"
PAGES = (HEALTH, STATS)

Query = Mapping[str, str]


class PageRequest(msgspec.Struct, frozen=True):
    """path: one of PAGES. in_full: whether all of the page may be shown."""

    path: str
    in_full: bool


class SideRequest(msgspec.Struct, frozen=True):
    """A WebSocket that is no session. path: WATCH or EDIT."""

    path: str


class HomeRequest(msgspec.Struct, frozen=True):
    """Somebody who looks for pages. host: as they call this machine; "" where that is no name or address."""

    host: str


class Preflight(msgspec.Struct, frozen=True):
    """What may be asked of an address: OPTIONS, which browsers send before a request with a token."""


class SessionRequest(msgspec.Struct, frozen=True):
    """start: what the query says. options: that, and what is configured for what it does not say. needs_token: whether
    the first message has to bring the token, as the request brought none."""

    start: Start
    options: Options
    needs_token: bool


def read(
    method: str, path: str, headers: Headers, config: Config
) -> SessionRequest | SideRequest | PageRequest | HomeRequest | Preflight | Refusal:
    """method, path: of the request line, path with the query. What may not be had, or is not understood, is a
    Refusal."""
    try:
        address = urlsplit(path)
    except ValueError:
        return Refusal(400, None, "The address is not one.")
    if address.path not in (HOME, SESSIONS, WATCH, EDIT, *PAGES):
        known = ", ".join((SESSIONS, WATCH, *PAGES))
        return Refusal(404, None, f"There is nothing at this address; there is {known}.")
    if method not in METHODS:
        return Refusal(405, None, NOT_ALLOWED)
    if method == "OPTIONS":
        return Preflight()
    if address.path == HOME:
        return HomeRequest(_called(headers.get_all("Host")))
    query = dict(parse_qsl(address.query))
    if address.path == SESSIONS:
        return _session(headers, query, config)
    if address.path in (WATCH, EDIT):
        return _side(address.path, headers, query, config)
    return _page(address.path, headers, query, config)


def _called(hosts: list[str]) -> str:
    """Without the port, an IPv6 address in its brackets."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d+)?", hosts[0] if len(hosts) == 1 else "", re.ASCII)
    return found[1] if found else ""


def _page(path: str, headers: Headers, query: Query, config: Config) -> PageRequest | Refusal:
    in_full = access.may_read_pages(config.security, headers, query)
    if not in_full and path != HEALTH:
        return access.REFUSALS[Verdict.REFUSED_TOKEN]
    return PageRequest(path, in_full)


def _side(path: str, headers: Headers, query: Query, config: Config) -> SideRequest | Refusal:
    """Who watches or changes brings a token with the request: no page of a browser does it by itself."""
    verdict = access.request(config.security, headers, query)
    if verdict is Verdict.ASK_FIRST_MESSAGE:
        verdict = Verdict.REFUSED_TOKEN
    return access.REFUSALS.get(verdict) or SideRequest(path)


def _session(headers: Headers, query: Query, config: Config) -> SessionRequest | Refusal:
    verdict = access.request(config.security, headers, query)
    if verdict in access.REFUSALS:
        return access.REFUSALS[verdict]
    try:
        start = protocol.options_from_query(dict(query))
        options = options_from(start, configured(config))
    except WernickeError as error:
        return Refusal(400, error.code, public(str(error)))
    return SessionRequest(start, options, needs_token=verdict is Verdict.ASK_FIRST_MESSAGE)


def configured(config: Config) -> Options:
    """Of a client that says nothing."""
    speakers = Count(config.diarization.min_speakers, config.diarization.max_speakers)
    return Options(config.audio.format, config.asr.language, speakers=speakers)


def options_from(start: Start, default: Options) -> Options:
    """`default` with what the client said, in its query or a message. Raises InvalidAudio or InvalidMessage."""
    said = {
        name: value for name in ("sample_rate", "channels", "encoding") if (value := getattr(start, name)) is not None
    }
    return Options(
        audio=replace(default.audio, **said),
        language=start.language or default.language,
        glossary=tuple(start.glossary) if start.glossary is not None else default.glossary,
        events=protocol.parse_events(start.events) if start.events is not None else default.events,
        words=default.words if start.words is None else start.words,
        background=default.background if start.background is None else start.background,
        speakers=default.speakers if start.speakers is None else Count(*protocol.parse_speakers(start.speakers)),
    )
