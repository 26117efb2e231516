"""Secrets Manager to Kubernetes: external-secrets, allowed to read this environment's secrets and nothing else.

A secret is written into the stack once and read by pods as an ordinary Kubernetes Secret; when its value changes, the
pods that use it are restarted (stakater reloader annotation on the workload).
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components import iam
from components.context import Context, Place
from components.pod_identity import pod_identity

CHART, CHART_VERSION = "external-secrets", "1.3.2"
_REPOSITORY = "https://charts.external-secrets.io"
STORE = "secrets-manager"
_NAMESPACE = "external-secrets"


def reader_policy(place: Place) -> str:
    """Read the environment's own secrets, and the master passwords that RDS keeps (names starting with ``rds!``)."""
    return iam.document(
        iam.allow(
            ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"),
            (place.arn("secretsmanager", f"secret:{place.environment}/*"), place.arn("secretsmanager", "secret:rds!*")),
        ),
        iam.allow(
            ("kms:Decrypt",),
            ("*",),
            condition={"StringEquals": {"kms:ViaService": f"secretsmanager.{place.region}.amazonaws.com"}},
        ),
    )


class SecretSync(pulumi.ComponentResource):
    """The external-secrets operator, its role, and the store that ExternalSecrets refer to."""

    store: k8s.apiextensions.CustomResource

    def __init__(
        self,
        name: str,
        cluster_name: pulumi.Input[str],
        *,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:secrets:SecretSync", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        identity = pod_identity(
            name,
            cluster_name=cluster_name,
            namespace=_NAMESPACE,
            service_account=CHART,
            policy=context.place.apply(reader_policy),
            context=context,
            opts=child,
        )
        release = k8s.helm.v3.Release(
            name,
            name=CHART,
            chart=CHART,
            version=CHART_VERSION,
            namespace=_NAMESPACE,
            create_namespace=True,
            repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo=_REPOSITORY),
            values={"installCRDs": True, "replicaCount": 2 if context.production else 1},
            opts=pulumi.ResourceOptions(parent=self, depends_on=identity.ready),
        )
        self.store = k8s.apiextensions.CustomResource(
            STORE,
            api_version="external-secrets.io/v1",
            kind="ClusterSecretStore",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=STORE),
            spec={"provider": {"aws": {"service": "SecretsManager", "region": context.region}}},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[release]),
        )
        self.register_outputs({})
