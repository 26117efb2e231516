"""Prometheus' API: at an address, or behind the API server of the cluster that it runs on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from runbooks._kit import kubernetes
from runbooks._kit.target import Target

# The namespace and the Service of the release that brings Prometheus (components/operators.py).
_NAMESPACE, _SERVICE = "kube-prometheus-stack", "kube-prometheus-stack-prometheus:9090"
_SECONDS = 5

Get = Callable[[str, Mapping[str, str]], Any]


class Prometheus:
    """Queries; raises what the way to it raises."""

    def __init__(self, get: Get) -> None:
        self._get = get

    @classmethod
    def found(cls, target: Target) -> Prometheus:
        """At PROMETHEUS_URL, else through the cluster of ``target``."""
        url = os.environ.get("PROMETHEUS_URL")
        return cls(_at(url) if url else _behind(target))

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that fire."""
        found = self._get("alerts", {})["data"]["alerts"]
        return [alert for alert in found if alert["state"] == "firing"]

    def value(self, query: str) -> float | None:
        """The one value of ``query``; None where nobody has said anything."""
        found = self._get("query", {"query": query})["data"]["result"]
        return float(found[0]["value"][1]) if found else None


def _at(url: str) -> Get:
    def get(path: str, query: Mapping[str, str]) -> Any:
        with urlopen(f"{url}/api/v1/{path}?{urlencode(query)}", timeout=_SECONDS) as answer:
            return json.load(answer)

    return get


def _behind(target: Target) -> Get:
    # Which cluster it is, is asked once, and not for each query.
    api = cache(lambda: kubernetes.connected(target))

    def get(path: str, query: Mapping[str, str]) -> Any:
        where = f"/api/v1/namespaces/{_NAMESPACE}/services/{_SERVICE}/proxy/api/v1/{path}"
        answer, *_ = api().call_api(
            where,
            "GET",
            query_params=list(query.items()),
            auth_settings=["BearerToken"],
            response_type="object",
            _request_timeout=_SECONDS,
        )
        return answer

    return get
