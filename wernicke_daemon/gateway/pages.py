"""What is answered to requests: the pages /health and /stats, refusals, and which web pages may read them (CORS)."""

from collections.abc import Callable

import msgspec
from websockets.http11 import Request, Response

from wernicke_daemon.gateway import access
from wernicke_daemon.gateway.access import Refusal
from wernicke_daemon.gateway.http_request import HEALTH, HomeRequest, PageRequest, Preflight
from wernicke_daemon.gateway.http_response import (
    empty_response,
    error_response,
    json_response,
    method_not_allowed,
)
from wernicke_daemon.observability.pages import Health, Stats
from wernicke_daemon.status import Status
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Error
from wernicke_daemon.wire.redaction import public

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Authorization",
    "Access-Control-Max-Age": "600",
}
"""A browser asks, without the token, whether a page may ask with it."""


class Pages:
    """cors_origins: of the web pages that may read the answers, "*" for all. refused: is told of who may not have what
    they asked for. secure: TLS is spoken."""

    def __init__(
        self,
        cors_origins: tuple[str, ...],
        refused: Callable[[Error], None],
        status: Status,
        secure: bool,
    ) -> None:
        self._cors_origins = cors_origins
        self._refused = refused
        self._status = status
        self._scheme = "https" if secure else "http"

    def answer(
        self, asked: PageRequest | HomeRequest | Preflight | Refusal, request: Request, web_port: int | None
    ) -> Response:
        """asked: what the request was read as. web_port: where the pages for browsers are."""
        response = self._home(asked, web_port) if isinstance(asked, HomeRequest) else self._response(asked)
        self._allow_origin(response, request.headers.get_all("Origin"))
        if request.method == "HEAD":
            response.body = b""
        return response

    def _response(self, asked: PageRequest | Preflight | Refusal) -> Response:
        match asked:
            case Refusal():
                return self._refuse(asked)
            case PageRequest():
                return self._show(asked)
            case Preflight():
                return empty_response()

    def _home(self, asked: HomeRequest, web_port: int | None) -> Response:
        """Leads to the pages."""
        if web_port is None:
            return error_response(404, "There are no pages here: web.enabled is false in the daemon's settings.")
        if not asked.host:
            return error_response(400, f"The pages are on port {web_port}.")
        address = f"{self._scheme}://{asked.host}:{web_port}/"
        response = json_response(307, {"pages": address})
        response.headers["Location"] = address
        return response

    def _show(self, asked: PageRequest) -> Response:
        page = public(msgspec.to_builtins(self._made(asked.path)))
        status = 503 if asked.path == HEALTH and not self._status.useful else 200
        return json_response(status, page if asked.in_full else access.health_without_token(page))

    def _made(self, path: str) -> Health | Stats:
        return self._status.health() if path == HEALTH else self._status.stats()

    def _refuse(self, refusal: Refusal) -> Response:
        if refusal.status == 405:
            return method_not_allowed()
        if refusal.code is None:
            return error_response(refusal.status, refusal.message)
        if refusal in access.REFUSALS.values():
            self._refused(protocol.error(refusal.code, refusal.message))
        response = json_response(refusal.status, {"code": refusal.code, "error": refusal.message})
        if refusal.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _allow_origin(self, response: Response, origins: list[str]) -> None:
        if len(origins) == 1 and ("*" in self._cors_origins or origins[0] in self._cors_origins):
            response.headers["Access-Control-Allow-Origin"] = origins[0]
            response.headers["Vary"] = "Origin"
            if response.status_code == 204:
                response.headers.update(PREFLIGHT)
