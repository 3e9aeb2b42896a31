"""What a program is told that is refused something. Pure: the body of the answer."""

from typing import Any

FOREIGN = "/v1/"
"""Where programs made for OpenAI ask."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def body(path: str, status: int, sentence: str, param: str | None = None) -> dict[str, Any]:
    """path: that was asked for; the shape is that of its protocol. param: the field that is wrong."""
    if not path.startswith(FOREIGN):
        return {"error": sentence}
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = "invalid_api_key" if status == 401 else None
    return {"error": {"message": sentence, "type": kind, "param": param, "code": code}}
