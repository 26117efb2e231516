"""The pod of somebody else's software: what Pod Security *restricted* accepts, with the room that it needs to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core import v1 as core

from components import pod
from components.tenancy import SERVING

if TYPE_CHECKING:
    from components.application import ApplicationArgs, Volume

_DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Paths that answer for the program's health on the port called ``port``; it starts within ``start_seconds``."""

    port: str
    started: str
    live: str
    ready: str
    start_seconds: int

    def __post_init__(self) -> None:
        if not all(path.startswith("/") for path in (self.started, self.live, self.ready)):
            raise ValueError(f"probes are {self.started!r}, {self.live!r}, {self.ready!r}; each is a path: /health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A folder of the image that the program changes when it starts: copied to scratch space of ``size`` before."""

    path: str
    size: str


def template(
    name: str,
    args: ApplicationArgs,
    labels: Mapping[str, str],
    service_account: pulumi.Input[str],
    stem: Callable[[str], str],
) -> k8s.core.v1.PodTemplateSpecArgs:
    """One container named ``main``, and one before it for each folder that has to be copied."""
    empty = {"/tmp": "256Mi", **args.scratch, **{each.path: each.size for each in args.prepared}}
    mounts = [
        *(core.VolumeMountArgs(name=_volume_name(path), mount_path=path) for path in empty),
        *(core.VolumeMountArgs(name=stem(path), mount_path=path, read_only=True) for path in args.files),
        *(core.VolumeMountArgs(name=stem(path), mount_path=path, read_only=True) for path in args.secret_files),
    ]
    if args.volume:
        mounts.append(core.VolumeMountArgs(name=_DATA, mount_path=args.volume.path))
    return core.PodTemplateSpecArgs(
        metadata=k8s.meta.v1.ObjectMetaArgs(labels=dict(labels)),
        spec=core.PodSpecArgs(
            service_account_name=service_account,
            automount_service_account_token=False,
            enable_service_links=False,
            termination_grace_period_seconds=args.grace,
            security_context=pod.user(args.user),
            priority_class_name=SERVING,
            topology_spread_constraints=pod.spread(labels),
            init_containers=[_copying(each, args.image) for each in args.prepared] or None,
            containers=[_main(name, args, mounts)],
            volumes=[
                *(
                    core.VolumeArgs(name=_volume_name(path), empty_dir=core.EmptyDirVolumeSourceArgs(size_limit=size))
                    for path, size in empty.items()
                ),
                *(
                    core.VolumeArgs(
                        name=stem(path), config_map=core.ConfigMapVolumeSourceArgs(name=f"{name}-{stem(path)}")
                    )
                    for path in args.files
                ),
                *(
                    core.VolumeArgs(
                        name=stem(path), secret=core.SecretVolumeSourceArgs(secret_name=f"{name}-{stem(path)}")
                    )
                    for path in args.secret_files
                ),
            ],
        ),
    )


def claim(volume: Volume, labels: Mapping[str, str]) -> core.PersistentVolumeClaimArgs:
    """The claim of each pod of a StatefulSet."""
    return core.PersistentVolumeClaimArgs(
        metadata=k8s.meta.v1.ObjectMetaArgs(name=_DATA, labels=dict(labels)),
        spec=core.PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOncePod"],
            storage_class_name=volume.storage_class,
            resources=core.VolumeResourceRequirementsArgs(requests={"storage": f"{volume.gib}Gi"}),
        ),
    )


def _main(name: str, args: ApplicationArgs, mounts: list[core.VolumeMountArgs]) -> core.ContainerArgs:
    probes = args.probes
    return core.ContainerArgs(
        name="main",
        image=args.image,
        command=list(args.command) or None,
        args=list(args.arguments) or None,
        env=[core.EnvVarArgs(name=key, value=value) for key, value in sorted(args.environment.items())],
        env_from=[core.EnvFromSourceArgs(secret_ref=core.SecretEnvSourceArgs(name=name))],
        ports=[core.ContainerPortArgs(name=port, container_port=number) for port, number in args.ports.items()],
        startup_probe=_probe(probes, probes.started, every=5, failures=max(1, probes.start_seconds // 5)),
        liveness_probe=_probe(probes, probes.live, every=10, failures=6),
        readiness_probe=_probe(probes, probes.ready, every=5, failures=3),
        resources=_bounds(args.cpu, args.memory),
        security_context=pod.restricted(),
        volume_mounts=mounts,
    )


def _copying(prepared: Prepared, image: str) -> core.ContainerArgs:
    name = _volume_name(prepared.path)
    return core.ContainerArgs(
        name=f"copy-{name}",
        image=image,
        command=["cp", "-r", f"{prepared.path}/.", f"/prepared/{name}/"],
        resources=_bounds("50m", "128Mi"),
        security_context=pod.restricted(),
        volume_mounts=[core.VolumeMountArgs(name=name, mount_path=f"/prepared/{name}")],
    )


def _bounds(cpu: str, memory: str) -> core.ResourceRequirementsArgs:
    return core.ResourceRequirementsArgs(requests={"cpu": cpu, "memory": memory}, limits={"memory": memory})


def _probe(probes: Probes, path: str, *, every: int, failures: int) -> core.ProbeArgs:
    return core.ProbeArgs(
        http_get=core.HTTPGetActionArgs(path=path, port=probes.port),
        period_seconds=every,
        timeout_seconds=5,
        failure_threshold=failures,
    )


def _volume_name(path: str) -> str:
    return path.strip("/").replace("/", "-").lower()
