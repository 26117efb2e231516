"""Software of somebody else on the cluster: restricted, bounded, spread and closed as a service of ours is.

It refuses an image that is not named by digest, and a volume that pods would share. A program with a volume is a
StatefulSet, whose pods keep a name and a disk each; any other is a Deployment. What such software writes beside its
volume goes to scratch space: its own files are read-only, whatever it was built to expect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components import application_pod, reach
from components.application_pod import Prepared, Probes
from components.secret_environment import SecretEnvironment, external_secret

_BY_DIGEST = re.compile(r"[\w./-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A disk for each pod, of ``storage_class``, where the program keeps what it must not lose."""

    path: str
    gib: int
    storage_class: pulumi.Input[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationArgs:
    """``ports`` are the container's, by name; the one called ``http`` is behind the Service.

    ``callers`` are the labels of the pods that may call it, besides load balancers; ``among`` are ports on which its
    pods talk to each other. ``files`` and ``secret_files`` appear in folders: path → name → text (a template over
    ``secrets.sources`` in the second). ``configuration`` are variables whose change restarts nothing by itself.
    """

    image: str
    namespace: pulumi.Input[str]
    replicas: int
    cpu: str
    memory: str
    user: int
    ports: Mapping[str, int]
    probes: Probes
    surroundings: reach.Surroundings
    reaches: Sequence[reach.Port] = ()
    callers: Sequence[Mapping[str, str]] = ()
    among: Sequence[int] = ()
    command: Sequence[str] = ()
    arguments: Sequence[str] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    secrets: SecretEnvironment
    secret_files: Mapping[str, SecretEnvironment] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    scratch: Mapping[str, str] = field(default_factory=dict)
    prepared: Sequence[Prepared] = ()
    volume: Volume | None = None
    grace: int = 30

    def __post_init__(self) -> None:
        if not _BY_DIGEST.fullmatch(self.image):
            raise ValueError(
                f"image is {self.image!r}; an image is named by its digest, repository:version@sha256:…, because a "
                "version can be pushed again: take the digest that the registry answers for it"
            )
        if self.replicas < 1:
            raise ValueError(f"replicas is {self.replicas}; an application that does not run is left out: 1 or more")
        if "http" not in self.ports:
            raise ValueError(
                f"ports are {', '.join(self.ports) or 'none'}; the one behind the Service is called 'http'"
            )


class Application(pulumi.ComponentResource):
    """A Deployment or a StatefulSet with its Service, its rules, its secrets and its budget of disruptions."""

    labels: dict[str, str]
    """Of its pods: for the rules of those whom it calls."""
    url: str
    """Where pods of the same namespace find it."""
    running: pulumi.Resource
    """What to wait for: the pods are ready."""

    def __init__(self, name: str, args: ApplicationArgs, *, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:workload:Application", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.labels = labels(name)
        self.url = f"http://{name}:{args.ports['http']}"
        ready: list[pulumi.Resource] = [self._secret(name, args.secrets)]
        ready += [self._secret(f"{name}-{_stem(path)}", kept) for path, kept in args.secret_files.items()]
        ready += [self._config(path, texts) for path, texts in args.files.items()]
        ready.append(
            reach.allow(
                name,
                namespace=args.namespace,
                labels=self.labels,
                ports=args.reaches,
                surroundings=args.surroundings,
                serves=args.ports["http"],
                callers=args.callers,
                among=args.among,
                opts=self._child,
            )
        )
        account = k8s.core.v1.ServiceAccount(
            name, metadata=self._meta(name), automount_service_account_token=False, opts=self._child
        )
        self._service(name, headless=False)
        template = application_pod.template(
            name, args, self.labels, account.metadata.name.apply(lambda found: found or name), _stem
        )
        after = pulumi.ResourceOptions(parent=self, depends_on=ready)
        self.running = self._stateful(template, after) if args.volume else self._stateless(template, after)
        if args.replicas > 1:
            k8s.policy.v1.PodDisruptionBudget(
                name,
                metadata=self._meta(name),
                spec=k8s.policy.v1.PodDisruptionBudgetSpecArgs(
                    max_unavailable=1, selector=self._selector, unhealthy_pod_eviction_policy="AlwaysAllow"
                ),
                opts=self._child,
            )
        self.register_outputs({})

    @property
    def _selector(self) -> k8s.meta.v1.LabelSelectorArgs:
        return k8s.meta.v1.LabelSelectorArgs(match_labels=self.labels)

    def _meta(self, name: str, **annotations: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(
            name=name, namespace=self._args.namespace, labels=self.labels, annotations=annotations
        )

    def _secret(self, name: str, secrets: SecretEnvironment) -> k8s.apiextensions.CustomResource:
        return external_secret(name, secrets, namespace=self._args.namespace, labels=self.labels, opts=self._child)

    def _config(self, path: str, texts: Mapping[str, str]) -> k8s.core.v1.ConfigMap:
        name = f"{self._name}-{_stem(path)}"
        return k8s.core.v1.ConfigMap(name, metadata=self._meta(name), data=dict(texts), opts=self._child)

    def _service(self, name: str, *, headless: bool) -> k8s.core.v1.Service:
        ports = self._args.ports if headless else {"http": self._args.ports["http"]}
        return k8s.core.v1.Service(
            name,
            metadata=self._meta(name),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self.labels,
                cluster_ip="None" if headless else None,
                # Pods of a cluster have to find each other before the first of them can be ready.
                publish_not_ready_addresses=True if headless else None,
                ports=[
                    k8s.core.v1.ServicePortArgs(name=port, port=number, target_port=port)
                    for port, number in ports.items()
                ],
            ),
            opts=self._child,
        )

    def _stateless(
        self, template: k8s.core.v1.PodTemplateSpecArgs, after: pulumi.ResourceOptions
    ) -> k8s.apps.v1.Deployment:
        return k8s.apps.v1.Deployment(
            self._name,
            metadata=self._meta(self._name, **_RESTARTED),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=self._args.replicas,
                selector=self._selector,
                revision_history_limit=5,
                progress_deadline_seconds=900,
                strategy=k8s.apps.v1.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=k8s.apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
                ),
                template=template,
            ),
            opts=after,
        )

    def _stateful(
        self, template: k8s.core.v1.PodTemplateSpecArgs, after: pulumi.ResourceOptions
    ) -> k8s.apps.v1.StatefulSet:
        volume = self._args.volume
        assert volume is not None
        peers = self._service(f"{self._name}-peers", headless=True)
        return k8s.apps.v1.StatefulSet(
            self._name,
            metadata=self._meta(self._name, **_RESTARTED),
            spec=k8s.apps.v1.StatefulSetSpecArgs(
                service_name=f"{self._name}-peers",
                replicas=self._args.replicas,
                selector=self._selector,
                # Together at the first start, when none can be ready alone; one after the other in an update.
                pod_management_policy="Parallel",
                revision_history_limit=5,
                min_ready_seconds=10,
                template=template,
                volume_claim_templates=[application_pod.claim(volume, self.labels)],
                # Removed with the environment, kept when only the number of pods changes.
                persistent_volume_claim_retention_policy=(
                    k8s.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                        when_deleted="Delete", when_scaled="Retain"
                    )
                ),
            ),
            opts=pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=[peers])),
        )


# Pods read their secrets when they start: a new value restarts them, a few at a time.
_RESTARTED = {"reloader.stakater.com/auto": "true"}


def labels(name: str) -> dict[str, str]:
    """The labels of an application's pods."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "event-platform"}


def _stem(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
