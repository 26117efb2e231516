"""A repository's pull requests, by GitHub's REST API: which are open, and one comment on each for each subject.

A comment is written once and brought up to date afterwards, never piled up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx

API = "https://api.github.com"
# GitHub REST API, "Issue comments": characters of a body.
_LONGEST = 65_536


class NoAnswer(RuntimeError):
    """GitHub does not do it, or does not tell; the message has its answer."""


class PullRequests:
    """The pull requests of ``repository`` (owner/name), as whoever ``token`` is of."""

    def __init__(
        self, repository: str, token: str, *, api: str = API, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=f"{api}/repos/{repository}/",
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            timeout=20,
            transport=transport,
        )

    @classmethod
    def of_this_run(cls) -> PullRequests:
        """Those of the workflow that runs, by the variables that GitHub sets. Raises NoAnswer without them."""
        try:
            repository, token = os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_TOKEN"]
        except KeyError as error:
            raise NoAnswer(f"{error.args[0]} is not set; a workflow has it, a person sets it") from error
        return cls(repository, token, api=os.environ.get("GITHUB_API_URL", API))

    def open(self) -> set[int]:
        """Numbers of those that are open. Raises NoAnswer: a page that is missing would make some look closed."""
        return {int(each["number"]) for each in self._all("pulls?state=open")}

    def say(self, number: int, subject: str, text: str) -> str:
        """Write ``text`` as the comment on ``subject``, whatever it said before; returns its URL."""
        mark = f"<!-- {subject} -->"
        body = f"{mark}\n{text}"
        if len(body) > _LONGEST:
            body = body[: _LONGEST - 100] + "\n\n… and more than a comment holds: the run's log has all of it."
        there = next((each for each in self._all(f"issues/{number}/comments") if each["body"].startswith(mark)), None)
        if there:
            return str(self._ask("PATCH", f"issues/comments/{there['id']}", {"body": body}).json()["html_url"])
        return str(self._ask("POST", f"issues/{number}/comments", {"body": body}).json()["html_url"])

    def _all(self, path: str) -> Iterator[dict[str, Any]]:
        """Page after page, as each names the next."""
        page: str | None = f"{path}{'&' if '?' in path else '?'}per_page=100"
        while page:
            answer = self._ask("GET", page)
            yield from answer.json()
            page = answer.links.get("next", {}).get("url")

    def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise NoAnswer(f"GitHub cannot be reached: {error}") from error
        if answer.is_error:
            raise NoAnswer(f"GitHub answers {method} {path} with {answer.status_code}: {answer.text[:300]}")
        return answer
