"""What the simulated cloud does not accept, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.engine import Workspace


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (
            'pulumi.CustomResource("aws:sqs/queue:Queue", "q", {"visibilityTimeout": 3})',
            "visibilityTimeout: is not a property here; did you mean visibilityTimeoutSeconds?",
        ),
        (
            'pulumi.CustomResource("aws:sqs/queue:Queue", "q", {"visibilityTimeoutSeconds": ["soon"]})',
            "visibilityTimeoutSeconds: must be a number, but is list",
        ),
        (
            'aws.rds.Instance("db", engine="postgres", allocated_storage=20, skip_final_snapshot=True, password="x",'
            ' username="u", instance_class=None)',
            "Missing required property 'instance_class'",
        ),
        (
            'aws.ec2.SecurityGroup("g", ingress=[{"protocol": "tcp", "from_port": 9, "to_port": 8}])',
            "ingress[0].fromPort",
        ),
        ('aws.cloudwatch.LogGroup("g", retention_in_days=8)', "retentionInDays"),
        (
            'aws.cloudwatch.MetricAlarm("a", evaluation_periods=1, comparison_operator="Above", metric_name="m",'
            ' namespace="n", period=60, statistic="Sum", threshold=1)',
            "'Above' is not one of",
        ),
        ('aws.amplify.App("a")', "aws:amplify/app:App is not in the simulated cloud yet"),
        ('aws.get_ip_ranges(services=["ec2"])', "getIpRanges is not in the simulated cloud yet"),
    ],
)
def test_a_preview_refuses_what_is_wrong_and_names_it(workspace: Workspace, program: str, told: str) -> None:
    workspace.program(program)
    refused = workspace.preview()
    assert not refused.ok
    assert told in refused.output


def test_a_subnet_outside_its_vpc_is_refused_with_the_code_that_aws_gives(workspace: Workspace) -> None:
    workspace.program(
        """
    vpc = aws.ec2.Vpc("main", cidr_block="10.1.0.0/16")
    aws.ec2.Subnet("outside", vpc_id=vpc.id, cidr_block="10.2.0.0/24")
    """
    )
    refused = workspace.up()
    assert not refused.ok
    assert "creating aws:ec2/subnet:Subnet 'outside': InvalidSubnet.Range" in refused.output
    assert workspace.destroy().ok


def test_what_others_still_use_cannot_be_deleted(workspace: Workspace, client: Callable[..., Any]) -> None:
    workspace.program('vpc = aws.ec2.Vpc("main", cidr_block="10.1.0.0/16")\npulumi.export("vpc", vpc.id)')
    workspace.up()
    vpc = workspace.outputs()["vpc"]
    subnet = client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]

    refused = workspace.destroy()
    assert not refused.ok
    assert f"DependencyViolation: {vpc} cannot be deleted while a subnet uses it: {subnet}" in refused.output

    client("ec2").delete_subnet(SubnetId=subnet)
    assert workspace.destroy().ok


def test_what_is_there_already_is_not_made_twice(workspace: Workspace) -> None:
    workspace.program(
        """
    for name in ("one", "two"):
        aws.elasticache.UserGroup(name, engine="redis", user_group_id="people", user_ids=["default"])
    """
    )
    refused = workspace.up()
    assert not refused.ok
    assert "AlreadyExists: people is there already" in refused.output
    assert workspace.destroy().ok
