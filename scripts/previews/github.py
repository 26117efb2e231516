"""The pull requests that are open, as GitHub's REST API tells them."""

from __future__ import annotations

import httpx

API = "https://api.github.com"
_SECONDS, _PAGE = 15, 100


class NotTold(RuntimeError):
    """GitHub does not say."""


def open_requests(repository: str, token: str, transport: httpx.BaseTransport | None = None) -> set[int]:
    """Numbers of the open pull requests of ``repository`` (owner/name), every page. Raises NotTold."""
    headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
    url: str | None = f"{API}/repos/{repository}/pulls?state=open&per_page={_PAGE}"
    found: set[int] = set()
    try:
        with httpx.Client(headers=headers, timeout=_SECONDS, transport=transport) as client:
            while url:
                answer = client.get(url).raise_for_status()
                found |= {int(one["number"]) for one in answer.json()}
                url = answer.links.get("next", {}).get("url")
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        # A page that is missing would make its previews look closed.
        raise NotTold(f"GitHub does not tell the open pull requests of {repository}: {error}") from error
    return found
