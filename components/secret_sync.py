"""Secrets Manager to Kubernetes: external-secrets, allowed to read this environment's secrets and nothing else.

A secret is written into the stack once and read by pods as an ordinary Kubernetes Secret; when its value changes, the
pods that use it are restarted (stakater reloader annotation on the workload).
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import eks
from pulumi_aws import iam as aws_iam

from components import iam
from components.context import Context

CHART, CHART_VERSION = "external-secrets", "1.3.2"
_REPOSITORY = "https://charts.external-secrets.io"
STORE = "secrets-manager"
_NAMESPACE = "external-secrets"


def reader_policy(*, environment: str, region: str, account_id: str, partition: str) -> str:
    """Read the environment's own secrets, and the master passwords that RDS keeps (names starting with ``rds!``)."""
    prefix = f"arn:{partition}:secretsmanager:{region}:{account_id}:secret"
    return iam.document(
        iam.allow(
            ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"),
            (f"{prefix}:{environment}/*", f"{prefix}:rds!*"),
        ),
        iam.allow(
            ("kms:Decrypt",),
            ("*",),
            condition={"StringEquals": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"}},
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
        role = aws_iam.Role(
            name,
            assume_role_policy=iam.trust("pods.eks.amazonaws.com", actions=("sts:AssumeRole", "sts:TagSession")),
            tags=context.tags(name),
            opts=child,
        )
        aws_iam.RolePolicy(
            name,
            role=role.id,
            policy=pulumi.Output.all(context.account_id, context.partition).apply(
                lambda known: reader_policy(
                    environment=context.environment, region=context.region, account_id=known[0], partition=known[1]
                )
            ),
            opts=child,
        )
        identity = eks.PodIdentityAssociation(
            name,
            cluster_name=cluster_name,
            namespace=_NAMESPACE,
            service_account=CHART,
            role_arn=role.arn,
            tags=context.tags(name),
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
            opts=pulumi.ResourceOptions(parent=self, depends_on=[identity]),
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
