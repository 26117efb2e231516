"""A real HAProxy does what ALB would: weights, cookies, paths; and no change of it loses a request."""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.local import processes
from scripts.local.balancer import haproxy
from scripts.local.balancer.configuration import COOKIE, Group
from scripts.local.balancer.haproxy import HAProxy
from scripts.local.balancer.rules import Rule, read
from scripts.local.certificates import Authority
from scripts.local.processes import eventually
from tests.local.balancer.test_rules import forward, group, rule

DEFAULT = rule(
    "default",
    {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "MessageBody": '{"no": "thing"}'}},
)
PATH = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/booking/*"]}}
REWRITE = {
    "Type": "url-rewrite",
    "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/api/booking/(.*)$", "Replace": "/$1"}]},
}


def header(name: str, value: str) -> dict[str, Any]:
    return {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": name, "Values": [value]}}


def listener(action: dict[str, Any]) -> list[Rule]:
    to_canary = {"Type": "forward", "TargetGroupArn": "canary"}
    return read(
        [
            DEFAULT,
            rule("1", to_canary, Conditions=[PATH, header("X-Canary", "always")], Transforms=[REWRITE]),
            rule("2", to_canary, Conditions=[PATH, header("Cookie", "*canary=always*")], Transforms=[REWRITE]),
            rule("3", action, Conditions=[PATH], Transforms=[REWRITE]),
        ]
    )


class Pod:
    """A server that says its name and the path that it was asked for."""

    def __init__(self, name: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = f"{name} {self.path}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.target = ("127.0.0.1", int(self._server.server_port))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class World:
    """A running HAProxy with one pod in each of two groups."""

    def __init__(self, proxy: HAProxy, authority: Authority) -> None:
        self.proxy, self._trust = proxy, ssl.create_default_context(cafile=authority.ca)
        self.pods = {name: Pod(name) for name in ("stable", "canary")}
        self.groups: list[Group] = [group(name, frozenset({pod.target})) for name, pod in self.pods.items()]

    def weigh(self, **weights: int) -> None:
        self.bring(forward(**weights))

    def alone(self) -> None:
        self.bring({"Type": "forward", "TargetGroupArn": "stable"})

    def bring(self, action: dict[str, Any]) -> None:
        for _ in range(2):  # a first round may only reload
            self.proxy.bring(listener(action), self.groups)

    def client(self, **cookies: str) -> httpx.Client:
        place = self.proxy.place
        return httpx.Client(
            base_url=f"https://{place.host}:{place.port}", verify=self._trust, cookies=cookies, timeout=10
        )

    def asked(self, number: int) -> Counter[str]:
        """Which group new visitors were led to."""
        found: Counter[str] = Counter()
        with self.client() as client:
            for _ in range(number):
                client.cookies.clear()
                found[client.get("/api/booking/events").raise_for_status().text.split()[0]] += 1
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # Longer than the address of a socket may be.
    folder: Path = tmp_path_factory.mktemp("balancer") / "-".join(["far"] * 30)
    folder.mkdir()
    authority = Authority(folder / "tls").create()
    server, place = haproxy.create(folder / "balancer", "127.0.0.1", authority, ["tickets.local.example.com"])
    with processes.serving(server, lambda: processes.listening(place.host, place.port)):
        found = World(HAProxy(place, speed=2), authority)
        try:
            yield found
        finally:
            for pod in found.pods.values():
                pod.close()


def test_five_in_a_hundred_are_about_five_in_a_hundred_and_nothing_is_nothing(world: World) -> None:
    world.weigh(stable=950, canary=50)
    # Of 600, 30 are expected: fewer than 9 or more than 60 come once in a hundred thousand runs.
    assert 9 <= world.asked(600)["canary"] <= 60
    world.weigh(stable=999, canary=0)
    assert set(world.asked(200)) == {"stable"}


def test_a_visitor_stays_with_their_group_until_it_is_the_only_one_that_is_left(world: World) -> None:
    world.weigh(stable=0, canary=999)
    with world.client() as visitor:
        assert visitor.get("/api/booking/a").text == "canary /a"
        assert visitor.cookies[COOKIE] == "canary"
        world.weigh(stable=999, canary=0)
        assert visitor.get("/api/booking/a").text == "canary /a"
        world.alone()
        answer = visitor.get("/api/booking/a")
        assert (answer.text, answer.headers.get("set-cookie")) == ("stable /a", None)


def test_who_asks_for_the_canary_gets_it_and_an_unknown_path_is_answered_by_the_listener(world: World) -> None:
    world.alone()
    with world.client(canary="always") as chosen, world.client() as anybody:
        assert chosen.get("/api/booking/a").text == "canary /a"
        assert anybody.get("/api/booking/a", headers={"X-Canary": "Always"}).text == "canary /a"
        answer = anybody.get("/elsewhere")
        assert (answer.status_code, answer.json()) == (404, {"no": "thing"})


def test_targets_are_healthy_once_they_answered_and_none_is_an_error(world: World) -> None:
    world.weigh(stable=500, canary=500)
    everybody = {"127.0.0.1": "healthy"}
    assert eventually(
        lambda: world.proxy.states(world.groups) == {"stable": everybody, "canary": everybody}, timeout=10
    )
    nobody = [group("stable"), world.groups[1]]
    for _ in range(2):
        world.proxy.bring(listener({"Type": "forward", "TargetGroupArn": "stable"}), nobody)
    with world.client() as client:
        assert client.get("/api/booking/a").status_code == 503


def test_no_change_loses_a_request_on_connections_that_are_kept(world: World) -> None:
    world.weigh(stable=500, canary=500)
    done, answers = threading.Event(), list[int]()

    def visit() -> None:
        with world.client() as client:
            while not done.is_set():
                client.cookies.clear()
                answers.append(client.get("/api/booking/a").status_code)

    extra = Pod("extra")
    with ThreadPoolExecutor(8) as pool:
        visits = [pool.submit(visit) for _ in range(8)]
        for number in range(6):
            world.weigh(stable=500 + number, canary=500 - number)
            # Pods come and go, and another rule makes HAProxy read its files anew.
            more = [group("stable", frozenset({world.pods["stable"].target, extra.target})), world.groups[1]]
            for groups in (more, world.groups):
                world.proxy.bring(listener(forward(stable=500, canary=500)), groups)
            before = rule(str(10 + number), forward(stable=1), Conditions=[PATH])
            world.proxy.bring([*read([before]), *listener(forward(stable=500, canary=500))], world.groups)
        done.set()
        for each in visits:
            each.result()
    extra.close()
    assert len(answers) > 200
    assert set(answers) == {200}
