"""What Karpenter may do in AWS: make and end machines of its own cluster, and nothing else's. Pure functions.

Every machine, volume and template that it makes carries the cluster's tag as it is made, and only what carries the tag
may be ended (Karpenter documentation, "CloudFormation": the actions that its controller calls).
"""

from __future__ import annotations

from components import iam
from components.context import Place

# What it makes, by kind of ARN.
_MADE = ("fleet", "instance", "launch-template", "network-interface", "spot-instances-request", "volume")
# What it makes machines of.
_GIVEN = ("capacity-reservation", "image", "security-group", "snapshot", "subnet")
_LOOKS = (
    "AvailabilityZones", "CapacityReservations", "Images", "Instances", "InstanceStatus", "InstanceTypeOfferings",
    "InstanceTypes", "LaunchTemplates", "SecurityGroups", "SpotPriceHistory", "Subnets",
)  # fmt: skip


def controller_policy(place: Place, *, cluster: str, queue_arn: str, node_role_arn: str) -> str:
    """The controller's policy for ``cluster``; it hands ``node_role_arn`` to machines and reads ``queue_arn``."""
    mark = f"kubernetes.io/cluster/{cluster}"
    made = tuple(_ec2(place, kind) for kind in _MADE)
    launches = ("ec2:CreateFleet", "ec2:RunInstances")
    return iam.document(
        iam.allow(launches, tuple(_ec2(place, kind) for kind in _GIVEN)),
        iam.allow(
            (*launches, "ec2:CreateLaunchTemplate"),
            made,
            condition={"StringEquals": {f"aws:RequestTag/{mark}": "owned"}},
        ),
        # A fleet names the template that was made a moment before.
        iam.allow(
            launches,
            (_ec2(place, "launch-template"),),
            condition={"StringEquals": {f"aws:ResourceTag/{mark}": "owned"}},
        ),
        iam.allow(
            ("ec2:CreateTags",),
            made,
            condition={
                "StringEquals": {
                    f"aws:RequestTag/{mark}": "owned",
                    "ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "RunInstances"],
                }
            },
        ),
        # A machine that has joined gets the names of its node and its claim.
        iam.allow(
            ("ec2:CreateTags",),
            (_ec2(place, "instance"),),
            condition={
                "StringEquals": {f"aws:ResourceTag/{mark}": "owned"},
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": ["Name", "eks:eks-cluster-name", "karpenter.sh/nodeclaim"]
                },
            },
        ),
        iam.allow(
            ("ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"),
            (_ec2(place, "instance"), _ec2(place, "launch-template")),
            condition={"StringEquals": {f"aws:ResourceTag/{mark}": "owned"}},
        ),
        # Describing knows no resources, nor do prices (Service Authorization Reference).
        iam.allow(
            tuple(f"ec2:Describe{what}" for what in _LOOKS),
            ("*",),
            condition={"StringEquals": {"aws:RequestedRegion": place.region}},
        ),
        iam.allow(("pricing:GetProducts",), ("*",)),
        # AWS's own parameters, which name the current image of each node operating system.
        iam.allow(("ssm:GetParameter",), (f"arn:{place.partition}:ssm:{place.region}::parameter/aws/service/*",)),
        iam.allow(("sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"), (queue_arn,)),
        iam.allow(
            ("iam:PassRole",),
            (node_role_arn,),
            condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        iam.allow(("iam:GetInstanceProfile",), (f"arn:{place.partition}:iam::{place.account_id}:instance-profile/*",)),
        iam.allow(("eks:DescribeCluster",), (place.arn("eks", f"cluster/{cluster}"),)),
    )


def _ec2(place: Place, kind: str) -> str:
    # Images and snapshots belong to no account of ours.
    return f"arn:{place.partition}:ec2:{place.region}:{'' if kind in ('image', 'snapshot') else '*'}:{kind}/*"
