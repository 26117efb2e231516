"""EKS add-ons that call AWS: each with a role for its own service account, and nothing that a node could lend it.

The EBS driver makes the disks of StatefulSets, encrypted with a key of the environment. The CloudWatch agent counts
pods and their memory (Container Insights), so that an alarm can tell that a program has none left; it sends no logs of
containers, which cost most of what it could send.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_aws import eks
from pulumi_aws import iam as aws_iam

from components import encryption, iam
from components.context import Context
from components.pod_identity import pod_identity

STORAGE_CLASS = "encrypted"
_PROVISIONER = "ebs.csi.aws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addon:
    """One add-on: where its service account is, and the policy that AWS manages for it."""

    namespace: str
    service_account: str
    policy: str
    settings: Mapping[str, object]


# Names, service accounts and policies: Amazon EKS User Guide, "AWS add-ons".
ADDONS: Mapping[str, Addon] = {
    "aws-ebs-csi-driver": Addon(
        namespace="kube-system",
        service_account="ebs-csi-controller-sa",
        policy="service-role/AmazonEBSCSIDriverPolicy",
        settings={},
    ),
    "amazon-cloudwatch-observability": Addon(
        namespace="amazon-cloudwatch",
        service_account="cloudwatch-agent",
        policy="CloudWatchAgentServerPolicy",
        settings={"containerLogs": {"enabled": False}},
    ),
}


def disks_policy(key_arn: str) -> str:
    """Encrypt disks with one key; a grant only on behalf of EC2 (EBS CSI driver, "Encryption of data at rest")."""
    return iam.document(
        iam.allow(
            ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"), (key_arn,)
        ),
        iam.allow(("kms:CreateGrant",), (key_arn,), condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    )


class ClusterAddons(pulumi.ComponentResource):
    """The add-ons, their roles, and the class of the disks that StatefulSets ask for."""

    storage_class: pulumi.Output[str]
    """Name of the storage class: gp3, encrypted, made where the pod runs."""

    def __init__(
        self,
        name: str,
        cluster_name: pulumi.Input[str],
        *,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:cluster:Addons", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = encryption.key(f"{name}-disks", context=context, purpose="Disks of pods", opts=child)
        made = {
            addon: _install(addon, about, cluster_name, context, key.arn.apply(disks_policy), child)
            for addon, about in ADDONS.items()
        }
        storage = k8s.storage.v1.StorageClass(
            STORAGE_CLASS,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=STORAGE_CLASS),
            provisioner=_PROVISIONER,
            parameters={"type": "gp3", "encrypted": "true", "kmsKeyId": key.arn},
            # A disk exists in one zone: it is made when the scheduler has chosen that of the pod.
            volume_binding_mode="WaitForFirstConsumer",
            reclaim_policy="Delete",
            allow_volume_expansion=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[made["aws-ebs-csi-driver"]]),
        )
        self.storage_class = storage.metadata.name.apply(lambda found: found or STORAGE_CLASS)
        self.register_outputs({"storage_class": self.storage_class})


def _install(
    addon: str,
    about: Addon,
    cluster_name: pulumi.Input[str],
    context: Context,
    disks: pulumi.Input[str],
    child: pulumi.ResourceOptions,
) -> eks.Addon:
    identity = pod_identity(
        addon,
        cluster_name=cluster_name,
        namespace=about.namespace,
        service_account=about.service_account,
        policy=disks if addon == "aws-ebs-csi-driver" else None,
        context=context,
        opts=child,
    )
    granted = aws_iam.RolePolicyAttachment(
        addon, role=identity.role.name, policy_arn=context.aws_policy(about.policy), opts=child
    )
    return eks.Addon(
        addon,
        cluster_name=cluster_name,
        addon_name=addon,
        configuration_values=json.dumps(about.settings) if about.settings else None,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="PRESERVE",
        tags=context.tags(addon),
        opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[granted, *identity.ready])),
    )
