"""What a program is told that is refused something, in the shape of the protocol that it speaks."""

import re
import uuid
from typing import Any

from starlette.responses import JSONResponse

FOREIGN = "/v1/"
"""Where programs made for OpenAI ask."""

DEEPGRAM = "/v1/listen"
"""Where those made for Deepgram do."""

_CODES = {
    401: "INVALID_AUTH",
    403: "INSUFFICIENT_PERMISSIONS",
    429: "TOO_MANY_REQUESTS",
    503: "SERVICE_UNAVAILABLE",
}
"""Deepgram's `err_code`; of any other status it is Bad Request."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def body(path: str, status: int, sentence: str, param: str | None = None) -> dict[str, Any]:
    """path: that was asked for; the shape is that of its protocol. param: the field that is wrong."""
    if not path.startswith(FOREIGN):
        return {"error": sentence}
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = "invalid_api_key" if status == 401 else None
    return {"error": {"message": sentence, "type": kind, "param": param, "code": code}}


def answer(path: str, status: int, sentence: str, param: str | None = None) -> JSONResponse:
    """The whole of it. path, param: as in `body`."""
    if path == DEEPGRAM:
        return _of_deepgram(status, sentence)
    return JSONResponse(body(path, status, sentence, param), status)


def _of_deepgram(status: int, sentence: str) -> JSONResponse:
    """The sentence in the header, too, as most clients show no body."""
    request_id = str(uuid.uuid4())
    said = {"err_code": _CODES.get(status, "Bad Request"), "err_msg": sentence, "request_id": request_id}
    return JSONResponse(said, status, {"dg-request-id": request_id, "dg-error": _in_header(sentence)})


def _in_header(sentence: str) -> str:
    """It may quote what the client said, line ends included."""
    return re.sub(r"[^ -~]", "?", sentence)
