"""Reference client of the wire protocol: audio in, messages out. Knows nothing of files, microphones or terminals."""

import asyncio
import enum
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from pathlib import Path
from ssl import SSLCertVerificationError, SSLContext, SSLError
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from ipc.audio_handle import SAMPLE_RATE
from ipc.errors import WernickeError
from wernicke_daemon.wire.audio import AudioFormat
from wernicke_daemon.wire.protocol import CLOSE_TRY_AGAIN

DEFAULT_URL = "ws://localhost:8000/transcribe"

MONO_16K = AudioFormat(SAMPLE_RATE, channels=1, encoding="f32le")
"""What the daemon works on: the least to send, and nothing is converted."""

ParsedMessage = dict[str, Any]
"""A message of the server as parsed from JSON. Loosely typed: a client reads newer servers too."""

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_OPEN_TIMEOUT_S = 10.0
_PING_TIMEOUT_S = 300.0
"""A server without memory to read ahead stops reading, pings included, until it has caught up; as long as its own idle
limit."""


class Exit(enum.IntEnum):
    """Exit codes of the command line. USAGE: of options, settings or an output path. UNREACHABLE: no Wernicke server
    answers. REFUSED: it takes no more clients, or not this one. LOST: results are missing. INPUT: it can't be read.
    EMPTY: there is no text in it."""

    OK = 0
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    LOST = 5
    INPUT = 6
    EMPTY = 7


class ClientError(WernickeError):
    """A session could not be had or broke off. exit_code: what the command line ends with."""

    def __init__(self, sentence: str, exit_code: Exit) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class Client:
    """One session with a server, used as `async with Client(…) as client`.

    url: ws:// or wss:// address of the endpoint. token: sent as a bearer token. language: ISO 639-1 code, "auto",
    or None for the server's own. events: what is wanted besides finals and errors. cafile: the one certificate that a
    wss:// server is trusted by, None for what this machine trusts. Entering raises ClientError or TlsError.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        language: str | None = None,
        audio: AudioFormat = MONO_16K,
        events: Iterable[str] = (),
        cafile: Path | None = None,
    ) -> None:
        self._url = url
        self._token = token
        self._cafile = cafile
        self.audio = audio
        self._options = _query(audio, language, events)  # of the address
        self._socket: ClientConnection  # from `__aenter__` on
        # What a close with 1013 means, unless the server says it better.
        self._refusal = "The server can take no more sessions now; try again later."

    async def __aenter__(self) -> Self:
        self._socket = await _open(self._url, self._options, self._token, self._cafile)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._socket.close()

    async def send(self, audio: bytes) -> None:
        """Send PCM of any length; waits while the server takes no more. Raises ClientError if the session is over."""
        await self._send(audio)

    async def flush(self) -> None:
        """End the open utterance now."""
        await self._send('{"type":"flush"}')

    async def stop(self) -> None:
        """End the session: the remaining results come, then the iteration over messages ends."""
        await self._send('{"type":"stop"}')

    async def _send(self, data: bytes | str) -> None:
        try:
            await self._socket.send(data)
        except ConnectionClosed as closed:
            self._fail(closed)

    async def __aiter__(self) -> AsyncIterator[ParsedMessage]:
        """The server's messages until it has sent everything after `stop()`. Raises ClientError if it ends sooner."""
        while True:
            try:
                message = _parse(await self._socket.recv())
            except ConnectionClosed as closed:
                self._fail(closed)
            if message.get("code") == "SERVER_OVERLOADED":
                self._refusal = str(message.get("message") or self._refusal)
                continue  # the close that follows raises it
            yield message
            if message.get("type") == "session_ended":
                return

    def _fail(self, closed: ConnectionClosed) -> NoReturn:
        code = closed.rcvd.code if closed.rcvd else None
        if code == CLOSE_TRY_AGAIN:
            raise ClientError(self._refusal, Exit.REFUSED) from closed
        if code is None:
            said = "The connection to the server was lost"
        else:
            reason = f", {closed.rcvd.reason}" if closed.rcvd and closed.rcvd.reason else ""
            said = f"The server closed the connection early (code {code}{reason})"
        raise ClientError(f"{said}; results may be missing, see the server's log.", Exit.LOST) from closed


async def exchange(client: Client, audio: AsyncIterable[bytes], receive: Callable[[ParsedMessage], None]) -> None:
    """Send all audio and `stop`, handing over each message as it comes; returns when the last result is in.

    Raises ClientError, and what `audio` raised once the results of the audio before that are in.
    """
    sender = asyncio.create_task(_feed(client, audio))
    try:
        async for message in client:
            receive(message)
    finally:
        sender.cancel()
        [outcome] = await asyncio.gather(sender, return_exceptions=True)
    # A ClientError of the sender comes from the same close as the one that the receiver has raised already.
    if isinstance(outcome, Exception) and not isinstance(outcome, ClientError):
        raise outcome


async def _feed(client: Client, audio: AsyncIterable[bytes]) -> None:
    try:
        async for chunk in audio:
            await client.send(chunk)
    except Exception:
        await client.stop()
        raise
    await client.stop()


def problem(message: ParsedMessage) -> str | None:
    """A sentence where a message says that something will not come back as text, else None."""
    match message.get("type"):
        case "error":
            return str(message.get("message") or message.get("code"))
        case "gap":
            times = f"{message.get('from')} s to {message.get('to')} s"
            return f"No text for the audio from {times} ({message.get('reason')})."
    return None


def _query(audio: AudioFormat, language: str | None, events: Iterable[str]) -> dict[str, str]:
    options = {
        "sample_rate": str(audio.sample_rate),
        "channels": str(audio.channels),
        "encoding": audio.encoding,
        "language": language or "",
        "events": ",".join(events),
    }
    return {name: value for name, value in options.items() if value}


async def _open(url: str, options: dict[str, str], token: str | None, cafile: Path | None) -> ClientConnection:
    try:
        return await connect(
            _with_options(url, options),
            additional_headers=authorization(token),
            ssl=tls_context(url, cafile),
            compression=None,
            proxy=None,
            open_timeout=_OPEN_TIMEOUT_S,
            ping_timeout=_PING_TIMEOUT_S,
            max_size=_MAX_MESSAGE_BYTES,
        )
    except SSLCertVerificationError as error:  # a ValueError, too
        sentence = f"The certificate of {url} is not trusted ({error.verify_message}); name it with --cafile."
        raise ClientError(sentence, Exit.UNREACHABLE) from error
    except SSLError as error:
        raise ClientError(f"No secure connection to {url}: {error}.", Exit.UNREACHABLE) from error
    except (InvalidURI, ValueError) as error:
        sentence = f"{url!r} is not the address of a server; write it like {DEFAULT_URL}."
        raise ClientError(sentence, Exit.USAGE) from error
    except InvalidStatus as error:
        raise _refused(url, error.response.status_code) from error
    except InvalidHandshake as error:
        raise _not_wernicke(url, str(error)) from error
    except OSError as error:
        sentence = f"Nothing answers at {url}: is the daemon running? Start it with `python run_daemon.py`."
        raise ClientError(sentence, Exit.UNREACHABLE) from error


def _with_options(url: str, options: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | options
    return urlunsplit(parts._replace(query=urlencode(query, safe=",")))


def tls_context(url: str, cafile: Path | None) -> SSLContext | None:
    """None where `url` is not a secure one. Raises ClientError where a certificate is given for such a url, and
    TlsError."""
    if urlsplit(url).scheme in ("wss", "https"):
        from wernicke_daemon.wire.tls import client_context

        return client_context(cafile)
    if cafile is not None:
        raise ClientError(f"A certificate is of use with wss:// only, not with {url}.", Exit.USAGE)
    return None


def authorization(token: str | None) -> dict[str, str]:
    """The header that carries the token. Raises ClientError."""
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()):
        raise ClientError("The token holds characters that no token has; check how it was copied.", Exit.USAGE)
    return {"Authorization": f"Bearer {token}"}


def _refused(url: str, status: int) -> ClientError:
    if status == 401:
        return ClientError(
            "The server wants another token (HTTP 401); give it with --token or WERNICKE_TOKEN.", Exit.REFUSED
        )
    if status == 403:
        return ClientError("The server does not let this client in (HTTP 403); see its log.", Exit.REFUSED)
    return _not_wernicke(url, f"HTTP {status}")


def _not_wernicke(url: str, why: str) -> ClientError:
    return ClientError(
        f"What answers at {url} is not a Wernicke server ({why}); check host, port and path.", Exit.UNREACHABLE
    )


def _parse(data: str | bytes) -> ParsedMessage:
    try:
        return msgspec.json.decode(data, type=ParsedMessage)
    except ValueError as error:  # bytes that are no text are no DecodeError
        sentence = "The server sent something that is not the Wernicke protocol; check host, port and path."
        raise ClientError(sentence, Exit.UNREACHABLE) from error
