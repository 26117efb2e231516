"""A pod template that Pod Security *restricted* accepts, and no looser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core import v1 as core

# Any user but root; an image of ours has no files that belong to a particular one.
_USER = 10001
API_PORT = 8080
# Seconds. A pod that stops first leaves its Service, then finishes its requests and messages.
GRACE = 30


def template(
    *,
    image: pulumi.Input[str],
    command: Sequence[str],
    labels: Mapping[str, str],
    service_account: pulumi.Input[str],
    environment: Mapping[str, pulumi.Input[str]],
    secret: pulumi.Input[str],
    memory: str,
    cpu: str,
    priority: str,
    probed: bool = True,
    restart: str = "Always",
    annotations: Mapping[str, str] | None = None,
) -> k8s.core.v1.PodTemplateSpecArgs:
    """One container that runs ``command`` with ``environment`` and every key of the Kubernetes Secret ``secret``.

    ``memory`` is request and limit at once, so that a pod is not evicted for what it was promised; ``cpu`` is only
    requested, because a limit throttles at the very peak it was sized for. ``probed`` adds the port on which every
    process that stays answers for its health: the API its requests besides, a worker nothing else.
    """
    container = core.ContainerArgs(
        name="main",
        image=image,
        command=list(command),
        env=[
            core.EnvVarArgs(name="POD_IP", value_from=_field("status.podIP")),
            core.EnvVarArgs(name="POD_NAME", value_from=_field("metadata.name")),
            *(core.EnvVarArgs(name=key, value=value) for key, value in sorted(environment.items())),
        ],
        env_from=[core.EnvFromSourceArgs(secret_ref=core.SecretEnvSourceArgs(name=secret))],
        ports=[core.ContainerPortArgs(name="http", container_port=API_PORT)] if probed else None,
        startup_probe=_probe("/healthz", every=1, failures=60) if probed else None,
        liveness_probe=_probe("/healthz", every=10, failures=3) if probed else None,
        readiness_probe=_probe("/readyz", every=5, failures=2) if probed else None,
        resources=core.ResourceRequirementsArgs(requests={"cpu": cpu, "memory": memory}, limits={"memory": memory}),
        security_context=restricted(),
        volume_mounts=[core.VolumeMountArgs(name="tmp", mount_path="/tmp")],
    )
    return core.PodTemplateSpecArgs(
        metadata=k8s.meta.v1.ObjectMetaArgs(labels=dict(labels), annotations=dict(annotations or {})),
        spec=core.PodSpecArgs(
            service_account_name=service_account,
            automount_service_account_token=False,
            enable_service_links=False,
            restart_policy=restart,
            termination_grace_period_seconds=GRACE,
            security_context=user(_USER),
            priority_class_name=priority,
            topology_spread_constraints=spread(labels),
            containers=[container],
            volumes=[core.VolumeArgs(name="tmp", empty_dir=core.EmptyDirVolumeSourceArgs(size_limit="64Mi"))],
        ),
    )


def restricted() -> core.SecurityContextArgs:
    """A container without privilege that changes nothing but its volumes."""
    return core.SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        capabilities=core.CapabilitiesArgs(drop=["ALL"]),
    )


def user(number: int) -> core.PodSecurityContextArgs:
    """A pod whose containers run as ``number``, which owns its volumes."""
    return core.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=number,
        run_as_group=number,
        fs_group=number,
        seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
    )


def spread(labels: Mapping[str, str]) -> list[core.TopologySpreadConstraintArgs]:
    """Over zones first, then over nodes. A wish, not a condition: with a zone lost, pods crowd rather than wait."""
    return [
        core.TopologySpreadConstraintArgs(
            max_skew=1,
            topology_key=key,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(labels)),
            # Each release by itself: the pods that are about to go do not count.
            match_label_keys=["pod-template-hash"],
        )
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def _field(path: str) -> core.EnvVarSourceArgs:
    return core.EnvVarSourceArgs(field_ref=core.ObjectFieldSelectorArgs(field_path=path))


def _probe(path: str, *, every: int, failures: int) -> core.ProbeArgs:
    return core.ProbeArgs(
        http_get=core.HTTPGetActionArgs(path=path, port="http"),
        period_seconds=every,
        timeout_seconds=3,
        failure_threshold=failures,
    )
