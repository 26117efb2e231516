"""Rules that are written inside another resource: security group rules, routes, network ACL entries.

The program gives the whole set; each function compares it with what EC2 has and makes the calls that are missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scripts.local.cloud.backend import UNKNOWN, Refused
from scripts.local.cloud.table import Scope

ALL = "-1"
# IANA protocol numbers that network ACLs use instead of names.
_NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1", "all": ALL}


def permission(rule: dict[str, Any], own_group: str) -> dict[str, Any]:
    """One inline rule as EC2's IpPermission."""
    protocol = str(rule.get("protocol", rule.get("ipProtocol", ALL))).lower()
    protocol = ALL if protocol in ("all", ALL) else protocol
    note = {"Description": rule["description"]} if rule.get("description") else {}
    groups = list(rule.get("securityGroups") or [])
    groups += [rule["referencedSecurityGroupId"]] if rule.get("referencedSecurityGroupId") else []
    groups += [rule["sourceSecurityGroupId"]] if rule.get("sourceSecurityGroupId") else []
    groups += [own_group] if rule.get("self") else []
    sources = {
        "IpRanges": [{"CidrIp": cidr, **note} for cidr in _both(rule, "cidrBlocks", "cidrIpv4")],
        "Ipv6Ranges": [{"CidrIpv6": cidr, **note} for cidr in _both(rule, "ipv6CidrBlocks", "cidrIpv6")],
        "PrefixListIds": [{"PrefixListId": id, **note} for id in _both(rule, "prefixListIds", "prefixListId")],
        "UserIdGroupPairs": [{"GroupId": group, **note} for group in groups],
    }
    ports = {"FromPort": rule.get("fromPort"), "ToPort": rule.get("toPort")} if protocol != ALL else {}
    known = {key: value for key, value in {**ports, **sources}.items() if value not in (None, [])}
    return {"IpProtocol": protocol, **known}


def security_group(scope: Scope) -> None:
    """Bring ingress and egress to what the inputs say. EC2's own allow-all egress goes with the first write."""
    [group] = scope.call("ec2", "describe_security_groups", GroupIds=[scope.id])["SecurityGroups"]
    for kind, present in (("ingress", group["IpPermissions"]), ("egress", group["IpPermissionsEgress"])):
        # A default group starts with a rule that lets its members talk to each other: that goes, too.
        strip = not scope.old and (kind == "egress" or group["GroupName"] == "default")
        if kind not in scope.inputs and kind not in scope.old and not strip:
            continue
        if present:
            clean = [{key: value for key, value in item.items() if value not in ([], None)} for item in present]
            scope.call("ec2", f"revoke_security_group_{kind}", GroupId=scope.id, IpPermissions=clean)
        wanted = [permission(rule, scope.id) for rule in scope.inputs.get(kind) or []]
        if wanted:
            scope.call("ec2", f"authorize_security_group_{kind}", GroupId=scope.id, IpPermissions=wanted)


_TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "localGatewayId": "LocalGatewayId",
    "carrierGatewayId": "CarrierGatewayId",
}


def routes(scope: Scope) -> None:
    """Bring the routes of a table (but the local one) to what the inputs say."""
    if "routes" not in scope.inputs and "routes" not in scope.old and scope.old:
        return
    [table] = scope.call("ec2", "describe_route_tables", RouteTableIds=[scope.id])["RouteTables"]
    for route in table["Routes"]:
        if route.get("GatewayId") != "local" and not route.get("GatewayId", "").startswith("vpce-"):
            keys = {k: route[k] for k in ("DestinationCidrBlock", "DestinationIpv6CidrBlock") if k in route}
            if keys and ("routes" in scope.inputs or "routes" in scope.old):
                scope.call("ec2", "delete_route", RouteTableId=scope.id, **keys)
    for route in scope.inputs.get("routes") or []:
        scope.call("ec2", "create_route", RouteTableId=scope.id, **route_parameters(route))


def route_parameters(route: dict[str, Any]) -> dict[str, Any]:
    """One inline route as CreateRoute's parameters."""
    destinations = {
        "DestinationCidrBlock": route.get("cidrBlock"),
        "DestinationIpv6CidrBlock": route.get("ipv6CidrBlock"),
        "DestinationPrefixListId": route.get("destinationPrefixListId"),
    }
    targets = {parameter: route.get(name) for name, parameter in _TARGETS.items()}
    return {key: value for key, value in {**destinations, **targets}.items() if value}


def one_target(scope: Scope) -> None:
    """Every inline route needs exactly one target, as CreateRoute says."""
    for i, route in enumerate(scope.inputs.get("routes") or []):
        if route is UNKNOWN:
            continue
        given = [name for name in _TARGETS if route.get(name)]
        if len(given) != 1:
            raise Refused(f"routes[{i}]", f"needs exactly one target, but has {len(given)}: {given}")


def network_acl(scope: Scope) -> None:
    """Bring the entries of a network ACL to what the inputs say; the final deny (32767) is EC2's own."""
    [acl] = scope.call("ec2", "describe_network_acls", NetworkAclIds=[scope.id])["NetworkAcls"]
    for kind, egress in (("ingress", False), ("egress", True)):
        if kind not in scope.inputs and kind not in scope.old and scope.old:
            continue
        for entry in acl["Entries"]:
            if entry["Egress"] == egress and entry["RuleNumber"] < 32767:
                scope.call(
                    "ec2",
                    "delete_network_acl_entry",
                    NetworkAclId=scope.id,
                    RuleNumber=entry["RuleNumber"],
                    Egress=egress,
                )
        for rule in scope.inputs.get(kind) or []:
            scope.call("ec2", "create_network_acl_entry", NetworkAclId=scope.id, **acl_entry(rule, egress=egress))
    for subnet in scope.inputs.get("subnetIds") or []:
        associate_acl(scope, subnet)


def acl_entry(rule: dict[str, Any], *, egress: bool) -> dict[str, Any]:
    """One inline ACL rule as CreateNetworkAclEntry's parameters."""
    protocol = str(rule.get("protocol", ALL)).lower()
    ports = {"From": int(rule.get("fromPort") or 0), "To": int(rule.get("toPort") or 0)}
    number = _NUMBERS.get(protocol, protocol)
    entry = {
        "RuleNumber": int(rule.get("ruleNo") or rule["ruleNumber"]),
        "Protocol": number,
        "RuleAction": rule.get("action") or rule["ruleAction"],
        "Egress": egress,
        "CidrBlock": rule.get("cidrBlock"),
        "Ipv6CidrBlock": rule.get("ipv6CidrBlock"),
        "PortRange": ports if number in ("6", "17") else None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def associate_acl(scope: Scope, subnet: str) -> str:
    """Move a subnet to this ACL; returns the id of the new association."""
    current = acl_association(scope, subnet)
    answer = scope.call(
        "ec2",
        "replace_network_acl_association",
        AssociationId=current["NetworkAclAssociationId"],
        NetworkAclId=scope.id,
    )
    return str(answer["NewAssociationId"])


def acl_association(scope: Scope, subnet: str) -> dict[str, Any]:
    """The association that a subnet has now; every subnet has exactly one."""
    found = scope.call("ec2", "describe_network_acls", Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])[
        "NetworkAcls"
    ]
    associations: Iterable[dict[str, Any]] = (each for acl in found for each in acl["Associations"])
    return next(each for each in associations if each["SubnetId"] == subnet)


def _both(rule: dict[str, Any], many: str, one: str) -> list[Any]:
    return [*(rule.get(many) or []), *([rule[one]] if rule.get(one) else [])]
