"""The network ACL of the subnets, as a pure function: a coarse second fence behind the security groups."""

from __future__ import annotations

from pulumi_aws import ec2

_ANYWHERE = "0.0.0.0/0"


def acl_rules(cidr: str) -> list[ec2.NetworkAclIngressArgs]:
    """What may enter a subnet; the security groups decide within that.

    From outside: HTTP(S) to load balancers, and answers to connections that a NAT gateway opened, which use ports 1024
    to 65535 (Amazon VPC User Guide, "NAT gateway basics"), less remote desktop.
    """
    rules = [
        ("allow", "-1", 0, 0, cidr),
        ("allow", "tcp", 80, 80, _ANYWHERE),
        ("allow", "tcp", 443, 443, _ANYWHERE),
        ("deny", "tcp", 3389, 3389, _ANYWHERE),
        ("allow", "tcp", 1024, 65535, _ANYWHERE),
        ("allow", "udp", 1024, 65535, _ANYWHERE),
    ]
    return [
        ec2.NetworkAclIngressArgs(
            rule_no=100 + 10 * number,
            action=action,
            protocol=protocol,
            from_port=first,
            to_port=last,
            cidr_block=source,
        )
        for number, (action, protocol, first, last, source) in enumerate(rules)
    ]
