"""How a Deepgram client brings its key: in a header or, from a browser, among the subprotocols it asks for."""

from starlette.datastructures import Headers

SCHEMES = ("token", "bearer")


def offered(headers: Headers) -> tuple[str, str | None]:
    """The key, empty where there is none, and the subprotocol to be agreed to."""
    asked = [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]
    if len(asked) > 1 and asked[0].lower() in SCHEMES:
        return asked[1], asked[0]
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return (key.strip() if scheme.lower() in SCHEMES else ""), None
