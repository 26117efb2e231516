"""One comment for each subject on a pull request: written once, brought up to date afterwards, never piled up."""

from __future__ import annotations

import os
from typing import Any

import httpx

API = "https://api.github.com"
# GitHub REST API, "Issue comments": characters of a body.
_LONGEST = 65_536


class CannotComment(RuntimeError):
    """GitHub does not take it; the message has its answer."""


class PullRequests:
    """The pull requests of ``repository`` (owner/name), as whoever ``token`` is of."""

    def __init__(self, repository: str, token: str, *, api: str = API) -> None:
        self._http = httpx.Client(
            base_url=f"{api}/repos/{repository}/",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
            timeout=20,
        )

    @classmethod
    def of_this_run(cls) -> PullRequests:
        """Those of the workflow that runs, by the variables that GitHub sets. Raises CannotComment without them."""
        try:
            repository, token = os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_TOKEN"]
        except KeyError as error:
            raise CannotComment(f"{error.args[0]} is not set; a workflow has it, a person sets it") from error
        return cls(repository, token, api=os.environ.get("GITHUB_API_URL", API))

    def say(self, number: int, subject: str, text: str) -> str:
        """Write ``text`` as the comment on ``subject``, whatever it said before; returns its URL."""
        mark = f"<!-- {subject} -->"
        body = f"{mark}\n{text}"
        if len(body) > _LONGEST:
            body = body[: _LONGEST - 100] + "\n\n… and more than a comment holds: the run's log has all of it."
        there = next((each for each in self._all(f"issues/{number}/comments") if each["body"].startswith(mark)), None)
        if there:
            return str(self._ask("PATCH", f"issues/comments/{there['id']}", {"body": body})["html_url"])
        return str(self._ask("POST", f"issues/{number}/comments", {"body": body})["html_url"])

    def _all(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page = 1
        while some := self._ask("GET", f"{path}?per_page=100&page={page}"):
            found += some
            page += 1
        return found

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise CannotComment(f"GitHub cannot be reached: {error}") from error
        if answer.is_error:
            raise CannotComment(f"GitHub answers {method} {path} with {answer.status_code}: {answer.text[:300]}")
        return answer.json()
