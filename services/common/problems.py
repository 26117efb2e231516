"""Errors of the APIs as problem+json (RFC 9457). Nothing internal is ever shown."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from services.common import logs

log = logs.get(__name__)

MEDIA_TYPE: Final = "application/problem+json"
# Status and kind of a problem, as routes document it; these are the ones that many routes have.
Kind = tuple[int, str]
FORBIDDEN: Final[Kind] = (403, "forbidden")
NOT_FOUND: Final[Kind] = (404, "not-found")
# Where `completed` (openapi.py) finds the kinds of a response.
KINDS: Final = "x-kinds"

# What the framework refuses by itself, in our words.
_REFUSED: Final = {
    400: ("unreadable-body", "The body cannot be read: send JSON in UTF-8, nested no deeper than it must be."),
    404: ("not-found", "There is nothing at this path."),
    405: ("method-not-allowed", "This path has no such method; `Allow` names those that it has."),
    413: ("too-large", "The body is too large; send it in parts."),
}


class Fault(BaseModel):
    """Where a request breaks a rule, as a path into it, and which rule."""

    at: str
    rule: str


class ProblemDetails(BaseModel):
    """The body of an error. ``type`` is a stable name to program against, ``detail`` is for people."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] | None = None


class Problem(Exception):
    """Raised by a handler of a request to answer with an error. ``kind`` is kebab-case."""

    def __init__(self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, headers


def urn(kind: str) -> str:
    """The ``type`` of problems of this kind."""
    return f"urn:problem:{kind}"


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The `responses` argument of a route that may answer these, beside those that every route has."""
    found: dict[int | str, dict[str, Any]] = {}
    for status, kind in kinds:
        response = found.setdefault(status, {"description": HTTPStatus(status).phrase, KINDS: []})
        response[KINDS].append(kind)
    return found


def answer(
    status: int,
    kind: str,
    detail: str,
    *,
    errors: list[Fault] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem+json response."""
    title = kind.replace("-", " ").capitalize()
    body = ProblemDetails(type=urn(kind), title=title, status=status, detail=detail, errors=errors)
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return answer(error.status, error.kind, error.detail, headers=error.headers)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        kind, detail = _REFUSED.get(error.status_code, ("request-refused", HTTPStatus(error.status_code).phrase))
        headers = {"Allow": _allowed(request)} if error.status_code == 405 else dict(error.headers or {})
        return answer(error.status_code, kind, detail, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [Fault(at="/".join(map(str, fault["loc"])), rule=fault["msg"]) for fault in error.errors()]
        return answer(422, "invalid-request", "The request breaks the rules listed in `errors`.", errors=errors)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        # The template, because a path names people.
        route = request.scope.get("route")
        log.error("request failed", route=route.path if route else "none", method=request.method, exc_info=error)
        return answer(500, "internal-error", "The request could not be carried out; try again later.")


def _allowed(request: Request) -> str:
    """The methods of this path; Starlette tells those of its first route alone."""
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    scopes = {method: {**request.scope, "method": method} for method in methods}
    return ", ".join(
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    )
