"""Start the platform, bring it to what the checkout says, and remove it again."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from scripts.deployment import ROOT
from scripts.local import processes, rotation
from scripts.local.cloud.running import Addresses
from scripts.local.kubernetes import images
from scripts.local.kubernetes.api import Api
from scripts.local.platform import parts, status
from scripts.local.platform.layout import Layout, Record
from scripts.local.stack import Stack
from scripts.toolchain import cache, pulumi
from stacks.settings import SERVICES

Say = Callable[[str], None]
_NEED_FREE_GIB = 1


class NoPlatform(RuntimeError):
    """The command needs a platform and there is none."""


def up(layout: Layout, say: Say, done: Say, *, extra_packs: tuple[Path, ...] = ()) -> None:
    """Bring the platform up, or up to date; safe to run at any time, also after an interruption.

    ``say`` hears each step, ``done`` each finished one. Raises NotReady, Busy, Failed and CannotObtain.
    """
    with layout.locked():
        engine = pulumi.obtain(say)
        fresh = not _whole(layout)
        try:
            if fresh:
                _clear(layout, say)
            with ThreadPoolExecutor() as pool:
                images = pool.submit(build_images, layout)
                if fresh:
                    start_parts(layout, say, done)
                digests = images.result()
            # Of a first start that is cut short nothing is kept: it is cleared away, or found again by the cloud's
            # journal. So its state needs no writing before the end.
            stack = open_stack(layout, engine, extra_packs=extra_packs, images=digests, lasting=not fresh)
            # And a plan of it would say what making it says: that everything is new, and what a policy refuses.
            changes = stack.make(say) if fresh else stack.up(say)
            done("stack " + ", ".join(f"{count} {kind}" for kind, count in sorted(changes.items())))
            for service, digest in digests.items():
                push_image(layout, stack.client("ecr"), service, digest)
            _register_webhooks(layout)
        except BaseException as error:
            # What this run began is of no use half made; a failure of the program leaves the servers to be looked at.
            if fresh and (layout.record() is None or isinstance(error, KeyboardInterrupt)):
                _end_engine(layout)
                _clear(layout, say)
            raise


def down(layout: Layout, say: Say) -> None:
    """End every process and remove every file of the platform; nothing to do is fine."""
    with layout.locked():
        _clear(layout, say)


def rotate(layout: Layout, secret: str, say: Say) -> None:
    """Rotate one secret of the running platform. Raises NoPlatform, NotRotated and Busy."""
    cloud = Addresses.load(Path(record_of(layout).cloud))
    with layout.locked():
        rotation.rotate_now(cloud.client, f"{parts.ENVIRONMENT}/{secret}", say)


def open_stack(
    layout: Layout,
    engine: pulumi.Engine,
    *,
    extra_packs: tuple[Path, ...] = (),
    images: dict[str, str] | None = None,
    lasting: bool = True,
) -> Stack:
    """The platform's stack, with the addresses of the running parts and the digests of ``images``."""
    record = record_of(layout)
    settings = {
        "outside.issuer": record.urls["issuer"],
        "outside.stripe_api": record.urls["stripe"],
        "outside.novu_api": record.urls["novu"],
    }
    settings |= {f"services.{service}.image_digest": digest for service, digest in (images or {}).items()}
    cloud = Addresses.load(Path(record.cloud))
    return Stack(
        parts.ENVIRONMENT, layout.folder, cloud, engine, settings=settings, extra_packs=extra_packs, lasting=lasting
    )


def _whole(layout: Layout) -> bool:
    """Whether every part is alive and runs what this checkout says; else the platform starts over."""
    running, record = layout.running(), layout.record()
    current = record is not None and record.code == parts.code()
    return current and bool(running) and all(part.process() for part in running.values())


def start_parts(layout: Layout, say: Say, done: Say) -> None:
    """Start servers, cloud and Kubernetes, and write down where they are. The caller holds the lock."""
    layout.folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(layout.folder).free / cache.GIB
    if free < _NEED_FREE_GIB:
        raise cache.CannotObtain(
            f"{free:.1f} GiB are free where {layout.folder} is, and a running platform takes {_NEED_FREE_GIB} GiB: "
            "free some space"
        )
    platform = parts.plan(layout, layout.claim_block())
    say(f"starting {len(platform.parts)} servers and Kubernetes")
    with ThreadPoolExecutor() as pool:
        waits = {}
        for part in platform.parts:
            running = processes.start(part.server)
            running.save(layout.parts)
            waits[part.server.name] = pool.submit(processes.await_ready, running, part.ready, timeout=120)
            if part.gate:
                waits[part.server.name].result()
        for running in platform.cluster.plane.start():
            running.save(layout.parts)
        done(f"kubernetes {platform.cluster.plane.url}")
        say("waiting for the cloud and the node")
        waits["cloud"].result()
        _start_node(layout, platform)
        done("node")
        for part in platform.parts:
            say(f"waiting for {part.server.name}")
            waits[part.server.name].result()
            done(f"{part.server.name} {part.url}".rstrip())
    layout.write(platform.record)


def _start_node(layout: Layout, platform: parts.Platform) -> None:
    """The node's agents need the cloud's address, which is known once it is up."""
    cloud = Addresses.load(Path(platform.record.cloud))
    cluster = dataclasses.replace(
        platform.cluster, aws_endpoint=cloud.endpoint, eks_cluster=f"{parts.ENVIRONMENT}-cluster"
    )
    for running in cluster.start_agents():
        running.save(layout.parts)
    for loop in platform.loops:
        processes.start(loop).save(layout.parts)


def build_images(layout: Layout) -> dict[str, str]:
    """Build each service's image: its own folder and what all share, so that one changes without the others."""
    shared = ("services/__init__.py", "services/contracts.py", "services/common", "services/setup")
    return {
        service: images.build(ROOT, layout.images, Path(sys.executable), paths=[*shared, f"services/{service}"])
        for service in SERVICES
    }


def push_image(layout: Layout, ecr: Any, service: str, digest: str) -> None:
    """Tell the registry of an image, so that it answers for it as ECR does after a push."""
    with suppress(ecr.exceptions.ImageAlreadyExistsException):
        ecr.put_image(
            repositoryName=f"{parts.ENVIRONMENT}/{service}",
            imageManifest=images.manifest(layout.images, digest),
            imageDigest=digest,
            imageTag=f"build-{digest[7:19]}",
        )


def running_stack(layout: Layout, engine: pulumi.Engine) -> Stack:
    """The platform's stack as it runs, whatever the checkout would build."""
    return open_stack(layout, engine, images=running_images(layout))


def running_images(layout: Layout) -> dict[str, str]:
    """The digest that the API of each service runs now."""
    return asyncio.run(_running_images(Path(record_of(layout).kubeconfig)))


async def _running_images(kubeconfig: Path) -> dict[str, str]:
    async with Api(kubeconfig) as api:
        found: dict[str, str] = {}
        for service in SERVICES:
            path = f"/apis/apps/v1/namespaces/{status.NAMESPACE}/deployments/{service}-api"
            [container] = (await api.get(path))["spec"]["template"]["spec"]["containers"]
            found[service] = container["image"].rpartition("@")[2]
        return found


def _register_webhooks(layout: Layout) -> None:
    """Stripe and Novu are told where their events go: to the APIs of payment and notification, inside the cluster."""
    record = record_of(layout)
    stripe, novu = (
        {"url": f"{status.service_url(record, service)}/webhooks/{provider}", "secret": record.webhook_secret}
        for service, provider in (("payment", "stripe"), ("notification", "novu"))
    )
    httpx.post(f"{record.urls['stripe']}/v1/webhook_endpoints", data=stripe).raise_for_status()
    httpx.post(f"{record.urls['novu']}/_local/webhook", json=novu).raise_for_status()


def record_of(layout: Layout) -> Record:
    """What `up` wrote down. Raises NoPlatform."""
    record = layout.record()
    if record is None:
        raise NoPlatform(f"there is no platform in {layout.folder}; start it with `make up`")
    return record


def _end_engine(layout: Layout) -> None:
    """An interrupted engine is a child of ours that still writes into the folder."""
    parts_of_platform = {part.pid for part in layout.running().values()}
    children = [child for child in psutil.Process().children() if child.pid not in parts_of_platform]
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    _, left = psutil.wait_procs(children, timeout=10)
    for child in left:
        child.kill()


def _clear(layout: Layout, say: Say) -> None:
    running = layout.running()
    # The node first: it ends its pods in order while the others still answer them.
    if node := running.pop("node", None):
        say("stopping node and its pods")
        processes.stop(node)
    if running:
        say(f"stopping {len(running)} parts")
        with ThreadPoolExecutor(max_workers=len(running)) as pool:
            list(pool.map(processes.stop, running.values()))
    if layout.folder.exists():
        shutil.rmtree(layout.folder)
