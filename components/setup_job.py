"""A job that brings something to what a document says: a broker's topology, a realm, a schema.

It runs on the cluster, because what it sets up has no address outside of the network. Its name carries the digest of
its documents: a changed document is a new job, an unchanged one is none. With a schedule it runs besides every time
that the schedule says, so that what was changed by hand or rotated meanwhile is as described again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components import pod, reach
from components.reach import Port, Surroundings
from components.secret_environment import SecretEnvironment, external_secret
from components.tenancy import BACKGROUND

_DEADLINE_SECONDS, _ATTEMPTS = 600, 5
# The kernel takes one environment variable of up to 128 KiB (execve(2), MAX_ARG_STRLEN).
_LONGEST = 128 * 1024 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupJobArgs:
    """``image`` has the command; ``documents`` are variables that say what is wanted, ``environment`` where it is.

    ``every`` is a cron expression, or None for a job that runs for each changed document alone.
    """

    image: pulumi.Input[str]
    command: Sequence[str]
    namespace: pulumi.Input[str]
    documents: Mapping[str, str]
    secrets: SecretEnvironment
    surroundings: Surroundings
    reaches: Sequence[Port] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    every: str | None = None

    def __post_init__(self) -> None:
        for name, document in self.documents.items():
            if len(f"{name}={document}".encode()) > _LONGEST:
                raise ValueError(
                    f"{name} is {len(document.encode())} bytes long; a variable takes {_LONGEST} at most (execve(2)): "
                    "split the document over several jobs"
                )
        if self.every is not None and len(self.every.split()) != 5:
            raise ValueError(f"every is {self.every!r}; write a cron expression of five fields, like '17 * * * *'")


class SetupJob(pulumi.ComponentResource):
    """A Job, the secret that it reads, and a CronJob if it is to be repeated."""

    done: k8s.batch.v1.Job

    def __init__(self, name: str, args: SetupJobArgs, *, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:workload:SetupJob", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._labels = labels(name)
        secret = external_secret(name, args.secrets, namespace=args.namespace, labels=self._labels, opts=self._child)
        account = k8s.core.v1.ServiceAccount(
            name, metadata=self._meta(name), automount_service_account_token=False, opts=self._child
        )
        rule = reach.allow(
            name,
            namespace=args.namespace,
            labels=self._labels,
            ports=args.reaches,
            surroundings=args.surroundings,
            serves=None,
            opts=self._child,
        )
        spec = k8s.batch.v1.JobSpecArgs(
            backoff_limit=_ATTEMPTS,
            active_deadline_seconds=_DEADLINE_SECONDS,
            template=pod.template(
                image=args.image,
                command=args.command,
                labels=self._labels,
                service_account=account.metadata.name.apply(lambda found: found or name),
                environment={**args.environment, **args.documents},
                secret=name,
                memory="128Mi",
                cpu="50m",
                priority=BACKGROUND,
                probed=False,
                restart="Never",
            ),
        )
        after = pulumi.ResourceOptions(parent=self, depends_on=[secret, rule])
        self.done = k8s.batch.v1.Job(
            name, metadata=self._meta(f"{name}-{digest(args.documents)}"), spec=spec, opts=after
        )
        if args.every:
            k8s.batch.v1.CronJob(
                name,
                metadata=self._meta(name),
                spec=k8s.batch.v1.CronJobSpecArgs(
                    schedule=args.every,
                    concurrency_policy="Forbid",
                    successful_jobs_history_limit=1,
                    failed_jobs_history_limit=3,
                    job_template=k8s.batch.v1.JobTemplateSpecArgs(spec=spec),
                ),
                opts=after,
            )
        self.register_outputs({})

    def _meta(self, called: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=called, namespace=self._args.namespace, labels=self._labels)


def labels(name: str) -> dict[str, str]:
    """The labels of a job's pods: whoever is set up by it lets them in."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "event-platform"}


def digest(documents: Mapping[str, str]) -> str:
    """Ten digits that change with the documents."""
    text = "".join(documents.values()) if len(documents) == 1 else json.dumps(dict(documents), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
