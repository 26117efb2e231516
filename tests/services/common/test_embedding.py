"""A link shows one organiser's figures, for minutes, and cannot be changed by who has it."""

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import OctKey

from services.common.embedding import LIFETIME, NobodysFigures, link

KEY = "k" * 32


def token(url: str) -> str:
    return url.partition("/embed/dashboard/")[2].partition("#")[0]


def test_a_link_says_which_dashboard_for_whom_and_until_when() -> None:
    url = link("https://figures.example.com/", 7, "organiser-1", KEY, now=1000)
    assert url.startswith("https://figures.example.com/embed/dashboard/")
    assert jwt.decode(token(url), OctKey.import_key(KEY), ["HS256"]).claims == {
        "resource": {"dashboard": 7},
        "params": {"organiser": "organiser-1"},
        "exp": 1000 + LIFETIME,
    }


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(BadSignatureError):
        jwt.decode(token(link("https://f", 7, "o", KEY, now=0)), OctKey.import_key("other" * 8), ["HS256"])


def test_figures_of_nobody_are_refused() -> None:
    with pytest.raises(NobodysFigures, match="organiser is empty"):
        link("https://f", 7, "", KEY, now=0)
