"""Alertmanager and Prometheus are asked through the API server. A server of this process stands for both: the real API
server passes requests on to no address of loopback.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from runbooks._kit import silence
from runbooks._kit.watchers import PROMETHEUS
from tests.runbooks.environment import ACCOUNT, REGION, Environment

PROXY = "/api/v1/namespaces/kube-prometheus-stack/services/kube-prometheus-stack-{}/proxy{}"


class ApiServer(ThreadingHTTPServer):
    """Remembers what it is asked; answers a silence with its id, its end with nothing, and a query with a value."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, Any]] = []
        self.away = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self._answer({"data": {"result": []}})

    def do_POST(self) -> None:
        self._answer({"silenceID": "one"})

    def do_DELETE(self) -> None:
        self._answer(None)

    def _answer(self, body: object) -> None:
        length = int(self.headers["Content-Length"] or 0)
        sent = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path, sent))
        written = b"" if body is None else json.dumps(body).encode()
        self.send_response(503 if self.server.away else 200)
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def cluster(environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """What kubectl's context leads to, and EKS calls the environment's."""
    monkeypatch.delenv("ALERTMANAGER_URL")
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)
    with ApiServer() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
        clusters, users = [{"name": "c", "cluster": {"server": server.url}}], [{"name": "c", "user": {"token": "t"}}]
        config = {"current-context": "c", "contexts": [context], "clusters": clusters, "users": users}
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        arn = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/c"
        environment.answers["eks:DescribeCluster"] = lambda asked: {
            "cluster": {"name": asked["name"], "arn": arn, "endpoint": server.url}
        }
        yield server
        server.shutdown()


def test_alerts_of_a_runbook_are_silenced_and_heard_again_by_alertmanagers_own_api(
    environment: Environment, cluster: ApiServer
) -> None:
    until = datetime.now(UTC) + timedelta(minutes=5)
    with silence.alerts(environment.target(), "stuck_saga", until=until) as said:
        assert said == "silence one"
    (made, where, body), ended = cluster.asked
    assert (made, where) == ("POST", PROXY.format("alertmanager:9093", "/api/v2/silences"))
    assert body["matchers"] == [{"name": "runbook", "value": "stuck_saga", "isRegex": False, "isEqual": True}]
    assert datetime.fromisoformat(body["endsAt"]) == until
    assert body["createdBy"] == environment.target().identity.who
    assert ended == ("DELETE", PROXY.format("alertmanager:9093", "/api/v2/silence/one"), None)


def test_when_alertmanager_is_away_the_work_goes_on_and_it_is_said(
    environment: Environment, cluster: ApiServer
) -> None:
    cluster.away = True
    with silence.alerts(environment.target(), "stuck_saga", until=datetime.now(UTC)) as said:
        assert said.startswith("alerts may ring meanwhile: ")
    assert [method for method, _, _ in cluster.asked] == ["POST"]


def test_a_query_of_prometheus_keeps_its_words(environment: Environment, cluster: ApiServer) -> None:
    ask = PROMETHEUS.asked(environment.target())
    assert ask("/api/v1/query", {"query": 'sum(up{job="a"}) > 0'}) == {"data": {"result": []}}
    [(method, path, _)] = cluster.asked
    assert method == "GET"
    assert path == PROXY.format("prometheus:9090", "/api/v1/query?query=sum%28up%7Bjob%3D%22a%22%7D%29+%3E+0")
