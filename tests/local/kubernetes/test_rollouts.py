"""Deployments, Jobs, Services: what the controllers and the local node do together."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.local.kubernetes.conftest import Namespace, ready, until

PROBE = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1}


async def test_a_rolling_update_loses_no_request(namespace: Namespace) -> None:
    await namespace.deployment("web", _answering(namespace, "old"), 2)
    service = await namespace.service("web")
    await until(lambda: _rolled_out(namespace, "web", 2))
    url = f"http://{service['spec']['clusterIP']}/"
    answers: list[str] = []
    async with httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_keepalive_connections=0)) as client:
        done = asyncio.Event()

        async def ask() -> None:
            while not done.is_set():
                answer = await client.get(url)
                assert answer.status_code == 200
                answers.append(answer.text)

        clients = [asyncio.create_task(ask()) for _ in range(4)]
        await until(lambda: _answered(answers, "old"))
        patch = {"spec": {"template": {"spec": {"containers": [_answering(namespace, "new")]}}}}
        await namespace.api.patch(namespace.path("deployments", "web"), patch)
        await until(lambda: _rolled_out(namespace, "web", 2, generation=2), timeout=60)
        await until(lambda: _answered(answers[-20:], "new"))
        done.set()
        await asyncio.gather(*clients)
    assert len(answers) > 50
    assert set(answers) == {"old", "new"}
    assert answers[-1] == "new"


async def test_failing_readiness_holds_the_rollout_and_the_old_pods_serve_on(namespace: Namespace) -> None:
    await namespace.deployment("web", _answering(namespace, "old"))
    service = await namespace.service("web")
    await until(lambda: _rolled_out(namespace, "web", 1))
    broken = {**_answering(namespace, "new"), "readinessProbe": {"tcpSocket": {"port": 9}, "periodSeconds": 1}}
    patch = {"spec": {"template": {"spec": {"containers": [broken]}}}}
    await namespace.api.patch(namespace.path("deployments", "web"), patch)

    async def refused() -> bool:
        events = (await namespace.api.get(namespace.path("events")))["items"]
        return any(each["reason"] == "Unhealthy" and "Readiness" in each["message"] for each in events)

    await until(refused)
    status = (await namespace.get("deployments", "web"))["status"]
    assert (status["updatedReplicas"], status["availableReplicas"], status["replicas"]) == (1, 1, 2)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://{service['spec']['clusterIP']}/")).text == "old"


async def test_a_service_without_a_ready_pod_refuses_connections(namespace: Namespace) -> None:
    service = await namespace.service("nobody")
    url = f"http://{service['spec']['clusterIP']}/"

    async def refused() -> bool:
        async with httpx.AsyncClient() as client:
            try:
                await client.get(url)
            except httpx.TransportError:
                return True
        return False

    assert await until(refused)


async def test_a_headless_service_resolves_to_its_pods(namespace: Namespace) -> None:
    await namespace.deployment("web", namespace.container(), 2)
    await namespace.service("web", clusterIP="None")
    await until(lambda: _rolled_out(namespace, "web", 2))
    look = (
        "import socket, time\nfound = []\nwhile len(found) < 2:\n"
        "    try: found = sorted({each[4][0] for each in socket.getaddrinfo('web', 80)})\n"
        "    except OSError: pass\n"
        "    time.sleep(0.1)\nprint(*found)"
    )
    await namespace.pod("client", namespace.container("python", "-c", look), restartPolicy="Never")

    async def seen() -> Any:
        return (await namespace.api.get(namespace.path("pods", "client") + "/log")).split()

    addresses = sorted(pod["status"]["podIP"] for pod in await namespace.pods(app="web"))
    assert await until(seen) == addresses


async def test_a_job_succeeds_when_its_pod_does(namespace: Namespace) -> None:
    await namespace.job("works", namespace.container("python", "-c", "print('done')"))

    async def complete() -> bool:
        return bool((await namespace.get("jobs", "works"))["status"].get("succeeded") == 1)

    await until(complete)


async def test_a_job_fails_after_its_retries(namespace: Namespace) -> None:
    await namespace.job("breaks", namespace.container("python", "-c", "raise SystemExit('no')"), backoffLimit=0)

    async def failed() -> Any:
        conditions = (await namespace.get("jobs", "breaks"))["status"].get("conditions") or []
        return next((each for each in conditions if each["type"] == "Failed" and each["status"] == "True"), None)

    assert (await until(failed))["reason"] == "BackoffLimitExceeded"


async def test_scaling_down_ends_pods_and_their_processes(namespace: Namespace) -> None:
    await namespace.deployment("web", namespace.container(), 2)
    await until(lambda: _rolled_out(namespace, "web", 2))
    addresses = [pod["status"]["podIP"] for pod in await namespace.pods(app="web")]
    await namespace.api.patch(namespace.path("deployments", "web"), {"spec": {"replicas": 0}})

    async def silent() -> bool:
        for address in addresses:
            try:
                _, writer = await asyncio.open_connection(address, 8080)
            except OSError:
                continue
            writer.close()
            return False
        return True

    await until(silent)


def _answering(namespace: Namespace, text: str) -> Any:
    env = [{"name": "ANSWER", "value": text}, {"name": "LINGER", "value": "1"}]
    return namespace.container(env=env, readinessProbe=PROBE)


async def _rolled_out(namespace: Namespace, name: str, replicas: int, generation: int = 1) -> bool:
    status = (await namespace.get("deployments", name)).get("status") or {}
    pods = await namespace.pods(app=name)
    seen = status.get("observedGeneration", 0) >= generation and len(pods) == replicas and all(map(ready, pods))
    return bool(seen and status.get("updatedReplicas") == status.get("availableReplicas") == replicas)


async def _answered(answers: list[str], text: str) -> bool:
    return text in answers
