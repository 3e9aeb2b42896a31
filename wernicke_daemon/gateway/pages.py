"""HTTP answers: the pages /health and /stats, refusals, and which web pages may read them (CORS)."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Response

from wernicke_daemon.gateway import access
from wernicke_daemon.gateway.access import Refusal
from wernicke_daemon.gateway.http_request import HEALTH, PageRequest
from wernicke_daemon.observability.pages import Health, Stats
from wernicke_daemon.status import Status
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Error
from wernicke_daemon.wire.redaction import public

Page = dict[str, Any]


class Pages:
    """cors_origins: of the web pages that may read the answers, "*" for all. refused: is told of who may not have what
    they asked for."""

    def __init__(
        self,
        cors_origins: tuple[str, ...],
        refused: Callable[[Error], None],
        status: Status,
    ) -> None:
        self._cors_origins = cors_origins
        self._refused = refused
        self._status = status

    def answer(self, asked: PageRequest | Refusal, headers: Headers) -> Response:
        """headers: of the request."""
        response = self._refuse(asked) if isinstance(asked, Refusal) else self._show(asked)
        self._allow_origin(response, headers.get_all("Origin"))
        return response

    def _show(self, asked: PageRequest) -> Response:
        page = public(msgspec.to_builtins(self._made(asked.path)))
        status = 503 if asked.path == HEALTH and not self._status.useful else 200
        return _json(status, page if asked.in_full else access.health_without_token(page))

    def _made(self, path: str) -> Health | Stats:
        return self._status.health() if path == HEALTH else self._status.stats()

    def _refuse(self, refusal: Refusal) -> Response:
        if refusal.code is None:
            return _json(refusal.status, {"error": refusal.message})
        if refusal in access.REFUSALS.values():
            self._refused(protocol.error(refusal.code, refusal.message))
        response = _json(refusal.status, {"code": refusal.code, "error": refusal.message})
        if refusal.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _allow_origin(self, response: Response, origins: list[str]) -> None:
        if len(origins) == 1 and ("*" in self._cors_origins or origins[0] in self._cors_origins):
            response.headers["Access-Control-Allow-Origin"] = origins[0]
            response.headers["Vary"] = "Origin"


def _json(status: int, page: Page) -> Response:
    body = json.dumps(page, ensure_ascii=False).encode()
    headers = Headers({"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))})
    headers["Connection"] = "close"
    return Response(status, "", headers, body)
