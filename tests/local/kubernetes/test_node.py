"""Pods on the local node: started as declared, watched, restarted, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import venv
from pathlib import Path
from typing import Any

import psutil
import pytest

from scripts.local.kubernetes import images
from scripts.local.kubernetes.api import ApiError
from scripts.local.processes import eventually, start
from tests.local.kubernetes.conftest import ENDLESS, Namespace, World, ready, state, until


async def logs(namespace: Namespace, pod: str, **query: str) -> str:
    """A pod's log, through the API server and the node's own HTTPS endpoint."""
    return str(await namespace.api.get(namespace.path("pods", pod) + "/log", **query))


async def test_an_unknown_field_is_refused(namespace: Namespace) -> None:
    with pytest.raises(ApiError, match=r'unknown field "spec.containers\[0\].comand"'):
        await namespace.pod("typo", namespace.container(comand=["sleep"]))


async def test_a_privileged_pod_is_refused_in_a_restricted_namespace(namespace: Namespace) -> None:
    with pytest.raises(ApiError, match="violates PodSecurity"):
        await namespace.pod("root", namespace.container(securityContext={"privileged": True}))


async def test_a_pod_gets_an_address_of_its_own_and_is_ready(namespace: Namespace, world: World) -> None:
    await namespace.pod("web", namespace.container())

    async def runs() -> Any:
        pod = await namespace.get("pods", "web")
        return pod if ready(pod) else None

    pod = await until(runs)
    assert pod["status"]["podIP"].startswith(world.cluster.plane.block)
    assert pod["status"]["phase"] == "Running"
    await until(lambda: _logged(namespace, "web", "listening"))
    assert world.kubectl("logs", "-n", namespace.name, "web", "--tail=1").stdout.strip() == "listening"


async def test_a_pod_answers_through_its_service_by_name_from_another_pod(namespace: Namespace) -> None:
    await namespace.deployment("web", namespace.container(env=[{"name": "ANSWER", "value": "from the service"}]), 2)
    await namespace.service("web")
    fetch = (
        "import socket, urllib.request, time\n"
        f"for end in ['', '.{namespace.name}', '.{namespace.name}.svc', '.{namespace.name}.svc.cluster.local']:\n"
        "    for attempt in range(100):\n"
        "        try:\n"
        "            print(end, urllib.request.urlopen('http://web' + end, timeout=5).read().decode()); break\n"
        "        except OSError: time.sleep(0.1)\n"
    )
    await namespace.pod("client", namespace.container("python", "-c", fetch), restartPolicy="Never")
    await until(lambda: _succeeded(namespace, "client"))
    assert (await logs(namespace, "client")).count("from the service") == 4


async def test_environment_volumes_and_token_are_as_declared(namespace: Namespace) -> None:
    await namespace.create(
        "configmaps", {"metadata": {"name": "settings"}, "data": {"COLOUR": "green", "file": "text"}}
    )
    await namespace.create("secrets", {"metadata": {"name": "hidden"}, "stringData": {"word": "xyzzy"}})
    show = (
        "import os, socket\n"
        "for key in ['COLOUR', 'WORD', 'BOTH', 'LITERAL', 'CPU', 'NAME']: print(key, os.environ[key])\n"
        "print('file', open('/settings/file').read(), open('/hidden/word').read())\n"
        "account = '/var/run/secrets/kubernetes.io/serviceaccount/'\n"
        "print('account', open(account + 'namespace').read(), len(open(account + 'token').read()) > 100)\n"
        "print('alias', socket.gethostbyname('database.internal'), socket.gethostbyname(socket.gethostname()))\n"
        "open('/scratch/x', 'w').write('kept')\n"
        "for place in ['/app/x', '/tmp/x', '/usr/x', '/settings/x']:\n"
        "    try: open(place, 'w'); print('wrote', place)\n"
        "    except OSError as error: print('refused', place)\n"
        "print('pids', sorted(int(each) for each in os.listdir('/proc') if each.isdigit()))\n"
    )
    env = [
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "word"}}},
        {"name": "BOTH", "value": "$(COLOUR)-$(WORD)"},
        {"name": "LITERAL", "value": "$$(COLOUR) $(NOBODY)"},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
    ]
    container = namespace.container("python", "-c", show, env=env, envFrom=[{"configMapRef": {"name": "settings"}}])
    container["resources"] = {"limits": {"cpu": "250m"}}
    container["securityContext"] = {**container["securityContext"], "readOnlyRootFilesystem": True}
    container["volumeMounts"] = [
        {"name": "settings", "mountPath": "/settings"},
        {"name": "hidden", "mountPath": "/hidden"},
        {"name": "scratch", "mountPath": "/scratch"},
    ]
    await namespace.pod(
        "show",
        container,
        restartPolicy="Never",
        hostAliases=[{"ip": "127.0.0.9", "hostnames": ["database.internal"]}],
        volumes=[
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "hidden", "secret": {"secretName": "hidden"}},
            {"name": "scratch", "emptyDir": {}},
        ],
    )
    pod = await until(lambda: _succeeded(namespace, "show"))
    assert (await logs(namespace, "show")).splitlines() == [
        *("COLOUR green", "WORD xyzzy", "BOTH green-xyzzy", "LITERAL $(COLOUR) $(NOBODY)", "CPU 250", "NAME show"),
        *("file text xyzzy", f"account {namespace.name} True", f"alias 127.0.0.9 {pod['status']['podIP']}"),
        *("refused /app/x", "refused /tmp/x", "refused /usr/x", "refused /settings/x", "pids [1]"),
    ]


async def test_a_volume_on_tmp_does_not_cover_the_interpreter_of_a_checkout_below_it(
    namespace: Namespace, world: World, tmp_path: Path
) -> None:
    assert tmp_path.is_relative_to("/tmp"), "pytest keeps its folders elsewhere: set TMPDIR=/tmp"
    venv.create(tmp_path / "venv", symlinks=True)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "main.py").write_text("open('/tmp/x', 'w')\nimport sys\nprint(sys.prefix)\n")
    digest = images.build(tmp_path / "source", world.cluster.images, tmp_path / "venv" / "bin" / "python")
    container = namespace.container("python", "main.py", volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}])
    container["image"] = f"{namespace.image.partition('@')[0]}@{digest}"
    container["securityContext"] = {**container["securityContext"], "readOnlyRootFilesystem": True}
    await namespace.pod("below", container, volumes=[{"name": "tmp", "emptyDir": {}}], restartPolicy="Never")
    await until(lambda: _succeeded(namespace, "below"))
    assert (await logs(namespace, "below")).strip() == str(tmp_path / "venv")


async def test_init_containers_run_in_order_before_the_container(namespace: Namespace) -> None:
    def step(name: str) -> Any:
        script = f"open('/shared/order', 'a').write('{name} ')"
        return {**namespace.container("python", "-c", script), "name": name, "volumeMounts": mounts}

    mounts = [{"name": "shared", "mountPath": "/shared"}]
    main = namespace.container("python", "-c", "print(open('/shared/order').read())", volumeMounts=mounts)
    init = [step("first"), step("second")]
    volumes = [{"name": "shared", "emptyDir": {}}]
    await namespace.pod("ordered", main, initContainers=init, volumes=volumes, restartPolicy="Never")
    await until(lambda: _succeeded(namespace, "ordered"))
    assert (await logs(namespace, "ordered")).strip() == "first second"


async def test_a_missing_secret_holds_a_pod_back_until_it_appears(namespace: Namespace) -> None:
    env = [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "late", "key": "word"}}}]
    await namespace.pod("waits", namespace.container(env=env))
    pod = await until(lambda: _waiting(namespace, "waits", "CreateContainerConfigError"))
    assert "'late' not found" in state(pod)["waiting"]["message"]
    await namespace.create("secrets", {"metadata": {"name": "late"}, "stringData": {"word": "now"}})
    await until(lambda: _ready(namespace, "waits"))


async def test_a_failing_container_ends_in_back_off_and_its_exit_code_is_kept(namespace: Namespace) -> None:
    await namespace.pod("fails", namespace.container("python", "-c", "raise SystemExit(3)"))
    pod = await until(lambda: _waiting(namespace, "fails", "CrashLoopBackOff"))
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] >= 1
    assert status["lastState"]["terminated"]["exitCode"] == 3


async def test_a_liveness_failure_restarts_the_container(namespace: Namespace) -> None:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    started = {**probe, "failureThreshold": 30}
    await namespace.pod("sick", namespace.container(livenessProbe=probe, startupProbe=started))
    await until(lambda: _ready(namespace, "sick"))
    folder = next((await _pod_folder(namespace, "sick")).glob("main/tmp"))
    (folder / "broken").touch()
    await until(lambda: _restarted(namespace, "sick", 1))
    (folder / "broken").unlink()
    await until(lambda: _ready(namespace, "sick"))
    previous = await logs(namespace, "sick", previous="true")
    assert "ended in order" in previous


async def test_an_exec_probe_runs_inside_the_container(namespace: Namespace) -> None:
    probe = {"exec": {"command": ["sh", "-c", "test -d /app/tiny && test ! -e /tmp/broken"]}, "periodSeconds": 1}
    await namespace.pod("probed", namespace.container(readinessProbe={**probe, "failureThreshold": 1}))
    await until(lambda: _ready(namespace, "probed"))
    (next((await _pod_folder(namespace, "probed")).glob("main/tmp")) / "broken").touch()
    await until(lambda: _unready(namespace, "probed"))


async def test_a_pod_that_handles_its_signal_ends_in_order(namespace: Namespace) -> None:
    await namespace.pod(
        "polite", namespace.container(env=[{"name": "LINGER", "value": "0.5"}]), terminationGracePeriodSeconds=20
    )
    await until(lambda: _ready(namespace, "polite"))
    follow = asyncio.create_task(logs(namespace, "polite", follow="true"))
    await until(lambda: _logged(namespace, "polite", "listening"))
    await namespace.api.delete(namespace.path("pods", "polite"))
    await until(lambda: _gone(namespace, "polite"), timeout=18)
    assert "ended in order" in await follow


async def test_a_pod_that_ignores_its_signal_is_killed_after_the_grace_period(namespace: Namespace) -> None:
    await namespace.pod(
        "stubborn", namespace.container("python", "-m", "tiny.endless"), terminationGracePeriodSeconds=2
    )
    assert "SIG_IGN" in ENDLESS
    await until(lambda: _ready(namespace, "stubborn"))
    began = asyncio.get_running_loop().time()
    await namespace.api.delete(namespace.path("pods", "stubborn"))
    await asyncio.sleep(1)
    assert await namespace.api.find(namespace.path("pods", "stubborn")), "it still has its grace period"
    await until(lambda: _gone(namespace, "stubborn"), timeout=60)
    assert asyncio.get_running_loop().time() - began >= 2


async def test_a_pod_has_the_role_of_its_pod_identity_association(namespace: Namespace, world: World) -> None:
    role = "arn:aws:iam::123456789012:role/booking"
    association = {"clusterName": "local", "namespace": namespace.name, "serviceAccount": "booking", "roleArn": role}
    association |= {"associationId": "a-1", "associationArn": "arn:aws:eks:::a-1"}
    world.cloud.keep("eu-west-1", "aws:eks/podIdentityAssociation:PodIdentityAssociation", "a-1", association)
    await namespace.create("serviceaccounts", {"metadata": {"name": "booking"}})
    whoami = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    for account, pod in (("booking", "with"), ("default", "without")):
        container = namespace.container("python", "-c", whoami)
        await namespace.pod(pod, container, serviceAccountName=account, restartPolicy="Never")

    async def ended() -> Any:
        pods = [await namespace.get("pods", name) for name in ("with", "without")]
        return all(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in pods)

    await until(ended)
    assert (await logs(namespace, "with")).startswith("arn:aws:sts::123456789012:assumed-role/booking/eks-local-with")
    assert "NoCredentialsError" in await logs(namespace, "without")


async def test_a_foreign_image_is_not_run_and_says_so(namespace: Namespace) -> None:
    await namespace.pod("foreign", {**namespace.container("x"), "image": "docker.io/library/redis:7"})
    pod = await until(lambda: _waiting(namespace, "foreign", "NotRunLocally"))
    assert pod["status"]["phase"] == "Pending"
    assert "a real Redis server" in state(pod)["waiting"]["message"]
    assert "podIP" not in pod["status"]


async def test_an_image_of_ours_that_was_never_built_cannot_be_pulled(namespace: Namespace) -> None:
    image = f"{namespace.image.partition('@')[0]}@sha256:{'0' * 64}"
    await namespace.pod("unbuilt", {**namespace.container(), "image": image})
    await until(lambda: _waiting(namespace, "unbuilt", "ErrImagePull", "ImagePullBackOff"))


async def test_killing_the_agent_leaves_no_process_and_its_pods_run_again(namespace: Namespace, world: World) -> None:
    child = "import subprocess, time; subprocess.Popen(['sleep', '4711']); time.sleep(600)"
    await namespace.pod("orphan", namespace.container("python", "-c", child))
    await until(lambda: _ready(namespace, "orphan"))
    address = (await namespace.get("pods", "orphan"))["status"]["podIP"]
    assert await until(lambda: _exists("sleep", "4711"))
    os.kill(world.running["node"].pid, signal.SIGKILL)
    assert await asyncio.to_thread(eventually, lambda: not _processes("sleep", "4711"), timeout=60)
    world.running["node"] = start(world.cluster.node(), with_parent=True)
    await until(lambda: _restarted(namespace, "orphan", 1))
    await until(lambda: _ready(namespace, "orphan"))
    pod = await namespace.get("pods", "orphan")
    assert pod["status"]["podIP"] == address
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137


def _processes(*command: str) -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if (each.info["cmdline"] or [])[-2:] == list(command)]


async def _exists(*command: str) -> bool:
    return bool(_processes(*command))


async def _succeeded(namespace: Namespace, name: str) -> Any:
    pod = await namespace.get("pods", name)
    assert pod["status"].get("phase") != "Failed", await logs(namespace, name)
    return pod if pod["status"].get("phase") == "Succeeded" else None


async def _ready(namespace: Namespace, name: str) -> Any:
    pod = await namespace.get("pods", name)
    return pod if ready(pod) else None


async def _unready(namespace: Namespace, name: str) -> bool:
    return not ready(await namespace.get("pods", name))


async def _waiting(namespace: Namespace, name: str, *reasons: str) -> Any:
    pod = await namespace.get("pods", name)
    return pod if (state(pod).get("waiting") or {}).get("reason") in reasons else None


async def _restarted(namespace: Namespace, name: str, times: int) -> bool:
    statuses = (await namespace.get("pods", name))["status"].get("containerStatuses") or []
    return bool(statuses) and statuses[0]["restartCount"] >= times


async def _gone(namespace: Namespace, name: str) -> bool:
    return await namespace.api.find(namespace.path("pods", name)) is None


async def _logged(namespace: Namespace, name: str, text: str) -> bool:
    return text in await logs(namespace, name)


async def _pod_folder(namespace: Namespace, name: str) -> Any:
    uid = (await namespace.get("pods", name))["metadata"]["uid"]
    return _WORLD_STATE[0] / "pods" / f"{namespace.name}_{name}_{uid}"


_WORLD_STATE: list[Any] = []


@pytest.fixture(autouse=True)
def _state(world: World) -> None:
    _WORLD_STATE[:] = [world.cluster.state]
