"""Errors of the APIs as problem+json (RFC 9457). Nothing internal is ever shown."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from services.common import logs

log = logs.get(__name__)


class ProblemDetails(BaseModel):
    """The body of an error. ``type`` is a stable name to program against, ``detail`` is for people."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] | None = None


class Problem(Exception):
    """Raised by a handler of a request to answer with an error. ``kind`` is kebab-case."""

    def __init__(self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, headers


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` argument of a route that may answer these errors."""
    content = {"application/problem+json": {"schema": ProblemDetails.model_json_schema()}}
    return {status: {"description": "Problem", "content": content} for status in statuses}


def answer(
    status: int,
    kind: str,
    detail: str,
    *,
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem+json response."""
    title = kind.replace("-", " ").capitalize()
    body = ProblemDetails(type=f"urn:problem:{kind}", title=title, status=status, detail=detail, errors=errors)
    return JSONResponse(
        body.model_dump(exclude_none=True), status, headers=headers, media_type="application/problem+json"
    )


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return answer(error.status, error.kind, error.detail, headers=error.headers)

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "request-refused")
        return answer(error.status_code, kind, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"at": "/".join(str(part) for part in fault["loc"]), "rule": str(fault["msg"])} for fault in error.errors()
        ]
        return answer(422, "invalid-request", "The request breaks the rules listed in `errors`.", errors=errors)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        # The template, because a path names people.
        route = request.scope.get("route")
        log.error("request failed", route=route.path if route else "none", method=request.method, exc_info=error)
        return answer(500, "internal-error", "The request could not be carried out; try again later.")
