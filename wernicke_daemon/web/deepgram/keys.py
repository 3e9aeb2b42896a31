"""How a Deepgram client brings its key: in a header or, from a browser, among the subprotocols it asks for."""

from starlette.datastructures import Headers

from wernicke_daemon.web.keys import in_header, subprotocols

SCHEMES = ("token", "bearer")


def offered(headers: Headers) -> tuple[str, str | None]:
    """The key, empty where there is none, and the subprotocol to be agreed to."""
    asked = subprotocols(headers)
    if len(asked) > 1 and asked[0].lower() in SCHEMES:
        return asked[1], asked[0]
    return in_header(headers, SCHEMES), None
