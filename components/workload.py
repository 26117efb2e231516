"""A service on the cluster: its identity in AWS, its secrets, its schema migration, its processes.

It refuses an image that is not named by digest: a tag can be moved under a running release. A service is one image and
several processes (API, workers, relays), each a Deployment of its own, because each scales and fails by itself: an API
by processor time, a worker by its queue. Each may reach what it needs and nothing else. The migration runs to its end
before any of them is updated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import iam, pod, reach
from components.context import Context
from components.pod_identity import pod_identity
from components.scaling import Scaling, autoscale
from components.secret_environment import SecretEnvironment, external_secret
from components.tenancy import BACKGROUND, SERVING

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
Statements = pulumi.Output[list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One Deployment: ``serves`` makes it the API behind the service's name."""

    name: str
    command: Sequence[str]
    scaling: Scaling
    reaches: Sequence[reach.Port]
    serves: bool = False
    memory: str = "256Mi"
    cpu: str = "100m"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadArgs:
    """``permissions`` are the AWS statements of the service's role; without any it gets no role."""

    repository_url: pulumi.Input[str]
    image_digest: str
    namespace: pulumi.Input[str]
    cluster_name: pulumi.Input[str]
    processes: Sequence[Process]
    environment: Mapping[str, pulumi.Input[str]]
    secrets: SecretEnvironment
    migration: SecretEnvironment
    migration_command: Sequence[str]
    surroundings: reach.Surroundings
    permissions: Sequence[Statements] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.image_digest):
            raise ValueError(
                f"image_digest is {self.image_digest!r}; an image is named by its digest, sha256: and 64 hexadecimal "
                "digits, because a tag can be moved: push the image and take the digest that the registry answers"
            )
        serving = [process.name for process in self.processes if process.serves]
        if len(serving) > 1:
            raise ValueError(f"processes {serving} all serve; a workload has one API, the others take no requests")


class Workload(pulumi.ComponentResource):
    """A service: role, secrets, migration, Deployments, and the Service of its API."""

    migrated: k8s.batch.v1.Job
    """Done when the schema is that of the image."""

    def __init__(
        self,
        name: str,
        args: WorkloadArgs,
        *,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:workload:Workload", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        self._image = pulumi.Output.concat(args.repository_url, "@", args.image_digest)
        account = self._identity()
        secret = self._secret(name, args.secrets)
        self.migrated = self._migrate(account)
        after = pulumi.ResourceOptions(parent=self, depends_on=[secret, self.migrated])
        for process in args.processes:
            self._deployment(process, account, after)
        self.register_outputs({})

    def labels(self, component: str) -> dict[str, str]:
        """The recommended labels (Kubernetes documentation, "Recommended Labels")."""
        return {
            "app.kubernetes.io/name": self._name,
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/part-of": "event-platform",
        }

    def _meta(self, name: str, component: str, **annotations: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(
            name=name, namespace=self._args.namespace, labels=self.labels(component), annotations=annotations
        )

    def _identity(self) -> k8s.core.v1.ServiceAccount:
        name, args = self._name, self._args
        ready: list[pulumi.Resource] = []
        if args.permissions:
            ready = pod_identity(
                name,
                cluster_name=args.cluster_name,
                namespace=args.namespace,
                service_account=name,
                policy=pulumi.Output.all(*args.permissions).apply(
                    lambda granted: iam.document(*(statement for group in granted for statement in group))
                ),
                context=self._context,
                opts=self._child,
            ).ready
        return k8s.core.v1.ServiceAccount(
            name,
            metadata=self._meta(name, "identity"),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=ready),
        )

    def _secret(self, name: str, secrets: SecretEnvironment) -> k8s.apiextensions.CustomResource:
        return external_secret(
            name, secrets, namespace=self._args.namespace, labels=self.labels("secrets"), opts=self._child
        )

    def _migrate(self, account: k8s.core.v1.ServiceAccount) -> k8s.batch.v1.Job:
        name = f"{self._name}-migrate"
        secret = self._secret(name, self._args.migration)
        rule = self._reach(name, "migrate", (reach.Port.POSTGRES,))
        return k8s.batch.v1.Job(
            name,
            # A Job cannot change: its name carries the image, so that each release has its own.
            metadata=self._meta(f"{name}-{self._args.image_digest[7:17]}", "migrate"),
            spec=k8s.batch.v1.JobSpecArgs(
                backoff_limit=3,
                active_deadline_seconds=600,
                template=self._pod(
                    "migrate", self._args.migration_command, account, secret=name, probed=False, restart="Never"
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[secret, rule]),
        )

    def _reach(
        self, name: str, component: str, ports: Sequence[reach.Port], serves: int | None = None
    ) -> k8s.networking.v1.NetworkPolicy:
        return reach.allow(
            name,
            namespace=self._args.namespace,
            labels=self.labels(component),
            ports=ports,
            surroundings=self._args.surroundings,
            serves=serves,
            opts=self._child,
        )

    def _deployment(self, process: Process, account: k8s.core.v1.ServiceAccount, after: pulumi.ResourceOptions) -> None:
        name = f"{self._name}-{process.name}"
        labels = self.labels(process.name)
        selector = k8s.meta.v1.LabelSelectorArgs(match_labels=labels)
        rule = self._reach(name, process.name, process.reaches, pod.API_PORT if process.serves else None)
        deployment = k8s.apps.v1.Deployment(
            name,
            # Pods read their secrets when they start: a new value restarts them, a few at a time.
            metadata=self._meta(name, process.name, **{"reloader.stakater.com/auto": "true"}),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                # What an autoscaler decides is not said here: the next update would undo it in the midst of a sale.
                replicas=process.scaling.least if process.scaling.fixed else None,
                selector=selector,
                revision_history_limit=5,
                progress_deadline_seconds=300,
                strategy=k8s.apps.v1.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=k8s.apps.v1.RollingUpdateDeploymentArgs(max_surge="25%", max_unavailable=0),
                ),
                template=self._pod(
                    process.name,
                    process.command,
                    account,
                    secret=self._name,
                    priority=SERVING if process.serves else BACKGROUND,
                    memory=process.memory,
                    cpu=process.cpu,
                ),
            ),
            opts=pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=[rule])),
        )
        autoscale(
            name,
            process.scaling,
            namespace=self._args.namespace,
            labels=labels,
            region=self._context.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )
        if process.scaling.most > 1:
            k8s.policy.v1.PodDisruptionBudget(
                name,
                metadata=self._meta(name, process.name),
                spec=k8s.policy.v1.PodDisruptionBudgetSpecArgs(
                    max_unavailable=1,
                    selector=selector,
                    # A pod that is not ready protects nothing: a node can be drained of it.
                    unhealthy_pod_eviction_policy="AlwaysAllow",
                ),
                opts=self._child,
            )
        if process.serves:
            k8s.core.v1.Service(
                self._name,
                metadata=self._meta(self._name, process.name),
                spec=k8s.core.v1.ServiceSpecArgs(
                    selector=labels,
                    ports=[k8s.core.v1.ServicePortArgs(name="http", port=pod.API_PORT, target_port="http")],
                ),
                opts=self._child,
            )

    def _pod(
        self,
        component: str,
        command: Sequence[str],
        account: k8s.core.v1.ServiceAccount,
        *,
        secret: str,
        priority: str = BACKGROUND,
        probed: bool = True,
        restart: str = "Always",
        memory: str = "256Mi",
        cpu: str = "100m",
    ) -> k8s.core.v1.PodTemplateSpecArgs:
        return pod.template(
            image=self._image,
            command=command,
            labels=self.labels(component),
            service_account=account.metadata.name.apply(lambda found: found or self._name),
            environment={"AWS_REGION": self._context.region, **self._args.environment},
            secret=secret,
            memory=memory,
            cpu=cpu,
            priority=priority,
            probed=probed,
            restart=restart,
        )
