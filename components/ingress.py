"""Who may connect: rules of a security group that let another group in at one TCP port, never a range of addresses."""

from __future__ import annotations

import pulumi
from pulumi_aws import ec2


def inline(about: str, source: pulumi.Input[str], port: int) -> ec2.SecurityGroupIngressArgs:
    """A rule within its group."""
    return ec2.SecurityGroupIngressArgs(
        description=about, protocol="tcp", from_port=port, to_port=port, security_groups=[source]
    )


def rule(
    name: str,
    about: str,
    *,
    into: pulumi.Input[str],
    source: pulumi.Input[str],
    port: int,
    opts: pulumi.ResourceOptions,
) -> ec2.SecurityGroupRule:
    """A rule beside its group: for a group to which others add theirs, or that must never change itself."""
    return ec2.SecurityGroupRule(
        name,
        type="ingress",
        description=about,
        security_group_id=into,
        source_security_group_id=source,
        protocol="tcp",
        from_port=port,
        to_port=port,
        opts=opts,
    )
