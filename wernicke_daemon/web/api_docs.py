"""/docs: what programs may ask for, to be read and tried out. Swagger UI comes from static/, not from another host."""

from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from wernicke_daemon.web import pages
from wernicke_daemon.web.guard import POLICY
from wernicke_daemon.web.transcripts import programs, summaries

router = APIRouter(include_in_schema=False)

DOCS_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI sets styles of its own. Nothing that anybody said is on that page."""


@router.get("/docs")
async def docs(request: Request) -> Response:
    shown = pages.page(request, "docs.html")
    shown.headers["Content-Security-Policy"] = DOCS_POLICY
    return shown


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    app: FastAPI = request.app
    return JSONResponse(_with_schemas(app.openapi()))


def _with_schemas(described: dict[str, Any]) -> dict[str, Any]:
    """With what answers consist of, which are msgspec's structs."""
    _, schemas = msgspec.json.schema_components(
        (*programs.SCHEMAS, *summaries.SCHEMAS), ref_template="#/components/schemas/{name}"
    )
    components = described.get("components", {})
    security = {"token": {"type": "http", "scheme": "bearer"}}
    return described | {
        "components": components | {"schemas": components.get("schemas", {}) | schemas, "securitySchemes": security},
        "security": [{}, {"token": []}],
    }
