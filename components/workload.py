"""A service on the cluster: its identity in AWS, its secrets, its schema migration, its processes.

It refuses an image that is not named by digest: a tag can be moved under a running release. A service is one image and
several processes (API, workers, relays), each a Deployment of its own, because each scales and fails by itself. The
migration runs to its end before any of them is updated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import eks
from pulumi_aws import iam as aws_iam

from components import iam, pod
from components.context import Context
from components.secret_sync import STORE

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
Statements = pulumi.Output[list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One Deployment: ``serves`` makes it the API behind the service's name."""

    name: str
    command: Sequence[str]
    replicas: int
    serves: bool = False
    memory: str = "256Mi"
    cpu: str = "100m"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretEnvironment:
    """Environment variables made from secrets.

    ``sources`` gives each value an alias: alias → (secret name or ARN, property of its JSON). ``variables`` are
    templates over the aliases, like ``redis://{{ .user }}:{{ .password }}@…``.
    """

    sources: Mapping[str, tuple[pulumi.Input[str], str]]
    variables: Mapping[str, str]


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
        migrated = self._migrate(account)
        after = pulumi.ResourceOptions(parent=self, depends_on=[secret, migrated])
        for process in args.processes:
            self._deployment(process, account, after)
        self.register_outputs({})

    def _labels(self, component: str) -> dict[str, str]:
        """The recommended labels (Kubernetes documentation, "Recommended Labels")."""
        return {
            "app.kubernetes.io/name": self._name,
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/part-of": "event-platform",
        }

    def _meta(self, name: str, component: str, **annotations: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(
            name=name, namespace=self._args.namespace, labels=self._labels(component), annotations=annotations
        )

    def _identity(self) -> k8s.core.v1.ServiceAccount:
        name, args, context = self._name, self._args, self._context
        depends: list[pulumi.Resource] = []
        if args.permissions:
            role = aws_iam.Role(
                name,
                assume_role_policy=iam.trust("pods.eks.amazonaws.com", actions=("sts:AssumeRole", "sts:TagSession")),
                tags=context.tags(name),
                opts=self._child,
            )
            policy = aws_iam.RolePolicy(
                name,
                role=role.id,
                policy=pulumi.Output.all(*args.permissions).apply(
                    lambda granted: iam.document(*(statement for group in granted for statement in group))
                ),
                opts=self._child,
            )
            identity = eks.PodIdentityAssociation(
                name,
                cluster_name=args.cluster_name,
                namespace=args.namespace,
                service_account=name,
                role_arn=role.arn,
                tags=context.tags(name),
                opts=self._child,
            )
            # A pod gets its identity when it starts, so it must exist before the first one does.
            depends = [policy, identity]
        return k8s.core.v1.ServiceAccount(
            name,
            metadata=self._meta(name, "identity"),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=depends),
        )

    def _secret(self, name: str, secrets: SecretEnvironment) -> k8s.apiextensions.CustomResource:
        return k8s.apiextensions.CustomResource(
            f"{name}-environment",
            api_version="external-secrets.io/v1",
            kind="ExternalSecret",
            metadata=self._meta(name, "secrets"),
            spec={
                "refreshInterval": "1m",
                "secretStoreRef": {"kind": "ClusterSecretStore", "name": STORE},
                "target": {
                    "name": name,
                    "template": {"engineVersion": "v2", "data": dict(secrets.variables)},
                },
                "data": [
                    {"secretKey": alias, "remoteRef": {"key": key, "property": prop}}
                    for alias, (key, prop) in sorted(secrets.sources.items())
                ],
            },
            opts=self._child,
        )

    def _migrate(self, account: k8s.core.v1.ServiceAccount) -> k8s.batch.v1.Job:
        name = f"{self._name}-migrate"
        secret = self._secret(name, self._args.migration)
        return k8s.batch.v1.Job(
            name,
            # A Job cannot change: its name carries the image, so that each release has its own.
            metadata=self._meta(f"{name}-{self._args.image_digest[7:17]}", "migrate"),
            spec=k8s.batch.v1.JobSpecArgs(
                backoff_limit=3,
                active_deadline_seconds=600,
                template=self._pod("migrate", self._args.migration_command, account, secret=name, restart="Never"),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[secret]),
        )

    def _deployment(self, process: Process, account: k8s.core.v1.ServiceAccount, after: pulumi.ResourceOptions) -> None:
        name = f"{self._name}-{process.name}"
        labels = self._labels(process.name)
        selector = k8s.meta.v1.LabelSelectorArgs(match_labels=labels)
        k8s.apps.v1.Deployment(
            name,
            # Pods read their secrets when they start: a new value restarts them, a few at a time.
            metadata=self._meta(name, process.name, **{"reloader.stakater.com/auto": "true"}),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=process.replicas,
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
                    serves=process.serves,
                    memory=process.memory,
                    cpu=process.cpu,
                ),
            ),
            opts=after,
        )
        if process.replicas > 1:
            k8s.policy.v1.PodDisruptionBudget(
                name,
                metadata=self._meta(name, process.name),
                spec=k8s.policy.v1.PodDisruptionBudgetSpecArgs(max_unavailable=1, selector=selector),
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
        serves: bool = False,
        restart: str = "Always",
        memory: str = "256Mi",
        cpu: str = "100m",
    ) -> k8s.core.v1.PodTemplateSpecArgs:
        return pod.template(
            image=self._image,
            command=command,
            labels=self._labels(component),
            service_account=account.metadata.name.apply(lambda found: found or self._name),
            environment={"AWS_REGION": self._context.region, **self._args.environment},
            secret=secret,
            memory=memory,
            cpu=cpu,
            serves=serves,
            restart=restart,
        )
