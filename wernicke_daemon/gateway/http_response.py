"""HTTP answers: JSON, after which the connection ends."""

import json
from typing import Any

from websockets.datastructures import Headers
from websockets.http11 import Response

METHODS = ("GET", "HEAD", "OPTIONS")
"""That are answered on some address."""

ALLOWED = ", ".join(METHODS)

NOT_ALLOWED = f"This daemon answers {ALLOWED}; audio is sent over a WebSocket, to /transcribe."


def json_response(status: int, page: dict[str, Any]) -> Response:
    body = json.dumps(page, ensure_ascii=False).encode()
    headers = Headers({"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))})
    headers["Connection"] = "close"
    return Response(status, "", headers, body)


def error_response(status: int, sentence: str) -> Response:
    return json_response(status, {"error": sentence})


def method_not_allowed() -> Response:
    response = error_response(405, NOT_ALLOWED)
    response.headers["Allow"] = ALLOWED
    return response


def empty_response() -> Response:
    """204, with what may be asked."""
    return Response(204, "", Headers({"Allow": ALLOWED, "Connection": "close"}))
