"""EC2: network ACLs, their rules and associations."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.backend import UNKNOWN
from scripts.local.cloud.services.ec2_rules import (
    acl_association,
    acl_entry,
    network_acl,
)
from scripts.local.cloud.services.ec2_shared import arn
from scripts.local.cloud.services.guards import unless_used
from scripts.local.cloud.table import Call, Row, Scope, by


def _default_acl_id(scope: Scope, _: dict[str, Any]) -> Any:
    return scope.inputs["defaultNetworkAclId"]


def _current_association(scope: Scope) -> Any:
    return UNKNOWN if scope.preview else acl_association(scope, scope["subnetId"])["NetworkAclAssociationId"]


def _main_acl(scope: Scope) -> None:
    """A subnet whose ACL goes returns to the VPC's default one."""
    [subnet] = scope.call("ec2", "describe_subnets", SubnetIds=[scope["subnetId"]])["Subnets"]
    filters = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}, {"Name": "default", "Values": ["true"]}]
    default = scope.call("ec2", "describe_network_acls", Filters=filters)["NetworkAcls"][0]["NetworkAclId"]
    current = acl_association(scope, scope["subnetId"])["NetworkAclAssociationId"]
    scope.call("ec2", "replace_network_acl_association", AssociationId=current, NetworkAclId=default)


ROWS = (
    Row(
        token="aws:ec2/networkAcl:NetworkAcl",
        service="ec2",
        create=Call("create_network_acl"),
        id="NetworkAcl.NetworkAclId",
        read=by("describe_network_acls", {"NetworkAclIds": ["id"]}),
        at="NetworkAcls[0]",
        delete=by("delete_network_acl", {"NetworkAclId": "id"}),
        outputs={
            "arn": arn("network-acl"),
            "ingress": lambda s, _: None,
            "egress": lambda s, _: None,
            "subnetIds": "Associations[].SubnetId",
        },
        guards=(
            unless_used(
                "a subnet",
                "ec2",
                "describe_network_acls",
                "NetworkAcls[].Associations[].SubnetId",
                NetworkAclIds=["{id}"],
            ),
        ),
        tag_type="network-acl",
        tag_key="id",
        made=network_acl,
    ),
    Row(
        token="aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
        service="ec2",
        create=Call("describe_network_acls", {"NetworkAclIds": ["defaultNetworkAclId"]}, auto=False),
        id=_default_acl_id,
        read=by("describe_network_acls", {"NetworkAclIds": ["id"]}),
        at="NetworkAcls[0]",
        outputs={"arn": arn("network-acl"), "ingress": lambda s, _: None, "egress": lambda s, _: None},
        tag_key="id",
        name=None,
        made=network_acl,
    ),
    Row(
        token="aws:ec2/networkAclRule:NetworkAclRule",
        service="ec2",
        create=Call(
            "create_network_acl_entry",
            {
                "NetworkAclId": "networkAclId",
                "RuleNumber": "ruleNumber",
                "Protocol": lambda s: acl_entry(s.inputs, egress=False)["Protocol"],
                "PortRange": lambda s: acl_entry(s.inputs, egress=False).get("PortRange"),
                "Egress": lambda s: bool(s.get("egress")),
            },
            uses=("protocol", "fromPort", "toPort", "egress"),
        ),
        id=lambda scope, _: f"nacl-{scope['networkAclId']}-{scope['ruleNumber']}-{bool(scope.get('egress'))}",
        read=by("describe_network_acls", {"NetworkAclIds": ["networkAclId"]}),
        at=lambda s, a: next(
            (
                e
                for e in a["NetworkAcls"][0]["Entries"]
                if e["RuleNumber"] == s["ruleNumber"] and e["Egress"] == bool(s.get("egress"))
            ),
            None,
        ),
        delete=by(
            "delete_network_acl_entry",
            {"NetworkAclId": "networkAclId", "RuleNumber": "ruleNumber", "Egress": lambda s: bool(s.get("egress"))},
        ),
        name=None,
    ),
    Row(
        token="aws:ec2/networkAclAssociation:NetworkAclAssociation",
        service="ec2",
        create=Call(
            "replace_network_acl_association",
            {"NetworkAclId": "networkAclId", "AssociationId": _current_association},
            uses=("subnetId",),
            auto=False,
        ),
        id="NewAssociationId",
        read=by("describe_network_acls", {"NetworkAclIds": ["networkAclId"]}),
        at=lambda s, a: next((e for e in a["NetworkAcls"][0]["Associations"] if e["SubnetId"] == s["subnetId"]), None),
        gone=_main_acl,
        name=None,
    ),
)
