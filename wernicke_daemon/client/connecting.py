"""How a client comes to a connection, and what it says where there is none: sentences and exit codes."""

import enum
from collections.abc import Iterable
from pathlib import Path
from ssl import SSLCertVerificationError, SSLContext, SSLError
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from ipc.errors import WernickeError
from wernicke_daemon.wire.audio import AudioFormat

DEFAULT_URL = "ws://127.0.0.1:8000/transcribe"
"""Not localhost: Windows tries ::1 first and takes 2 s to find that nobody is there, with each connection."""

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_OPEN_TIMEOUT_S = 10.0
_PING_TIMEOUT_S = 300.0
"""A server without memory to read ahead stops reading, pings included, until it has caught up; as long as its own idle
limit."""


class Exit(enum.IntEnum):
    """Exit codes of the command line. USAGE: of options, settings or an output path. UNREACHABLE: no Wernicke server
    answers. REFUSED: it takes no more clients, or not this one. LOST: results are missing. INPUT: it can't be read.
    EMPTY: there is no text in it. STUCK: the daemon does not end."""

    OK = 0
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    LOST = 5
    INPUT = 6
    EMPTY = 7
    STUCK = 8


class ClientError(WernickeError):
    """A session could not be had or broke off. exit_code: what the command line ends with."""

    def __init__(self, sentence: str, exit_code: Exit) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def query(audio: AudioFormat, language: str | None, events: Iterable[str]) -> dict[str, str]:
    options = {
        "sample_rate": str(audio.sample_rate),
        "channels": str(audio.channels),
        "encoding": audio.encoding,
        "language": language or "",
        "events": ",".join(events),
    }
    return {name: value for name, value in options.items() if value}


async def open_connection(
    url: str, options: dict[str, str], token: str | None, cafile: Path | None
) -> ClientConnection:
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
