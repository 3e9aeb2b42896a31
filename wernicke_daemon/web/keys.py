"""Where programs made for other services bring their key: in a header or, from a browser, among the subprotocols that
they ask for. Pure.
"""

from collections.abc import Collection

from starlette.datastructures import Headers


def in_header(headers: Headers, schemes: Collection[str]) -> str:
    """Empty where there is none. schemes: in small letters."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() in schemes else ""


def subprotocols(headers: Headers) -> list[str]:
    """That a WebSocket asks for, in order."""
    return [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]
