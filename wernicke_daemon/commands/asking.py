"""Pages of a daemon on this machine or another, asked for over HTTP."""

import argparse
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from wernicke_daemon.client.connecting import ClientError, Exit, authorization, tls_context

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

TIMEOUT_S = 10.0


def get(
    args: argparse.Namespace, address: str, query: dict[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> "httpx.Response":
    """args: of `options.add_server`. Whatever the status of the answer, but 401. Raises ClientError, TlsError."""
    return _asked(args, "GET", address, query, timeout_s)


def post(args: argparse.Namespace, address: str) -> "httpx.Response":
    """Without a body; else as `get`."""
    return _asked(args, "POST", address, None, TIMEOUT_S)


def _asked(
    args: argparse.Namespace, method: str, address: str, query: dict[str, str] | None, timeout_s: float
) -> "httpx.Response":
    import httpx

    try:
        answer = httpx.request(
            method,
            address,
            params=query,
            headers=authorization(args.token),
            verify=tls_context(args.url, args.cafile) or True,
            timeout=timeout_s,
            trust_env=False,  # no proxy lies between this and a daemon in one's own network
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
        raise _no_address(args.url) from None
    except httpx.HTTPError as error:
        raise ClientError(_silent(args.url, error), Exit.UNREACHABLE) from None
    if answer.status_code == 401:
        sentence = "The server wants another token (HTTP 401); give it with --token or WERNICKE_TOKEN."
        raise ClientError(sentence, Exit.REFUSED)
    return answer


def page_address(url: str, name: str) -> str:
    """http://HOST/stats for ws://HOST/transcribe; what stands before /transcribe is a proxy's and stays. Raises
    ClientError."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _no_address(url) from None
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    prefix = parts.path.rpartition("/")[0]
    return urlunsplit((scheme, parts.netloc, f"{prefix}/{name}", "", ""))


def decoded(url: str, answer: "httpx.Response", kind: type[T]) -> T:
    """Raises ClientError for what is no such page. url: what was asked."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except ValueError:  # bytes that are no text are no DecodeError
        raise foreign(url) from None


def _no_address(url: str) -> ClientError:
    return ClientError(f"{url!r} is not the address of a server.", Exit.USAGE)


def foreign(url: str) -> ClientError:
    return ClientError(f"What answers at {url} is not a Wernicke server; check host and port.", Exit.UNREACHABLE)


def _silent(url: str, error: "httpx.HTTPError") -> str:
    import httpx

    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"The certificate of {url} is not trusted; name it with --cafile."
    if isinstance(error, httpx.ConnectError):
        return f"Nothing answers at {url}: is the daemon running? Start it with `python run_daemon.py`."
    return f"{url} does not answer as a Wernicke server does ({error or type(error).__name__}); check host and port."
