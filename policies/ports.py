"""Checks of what the world may reach: rules of security groups in their three forms, and of network ACLs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies.checks import Judged, Properties
from policies.documents import texts

WORLD = ("0.0.0.0/0", "::/0")
_ALL = ("-1", "all")
_CIDRS = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6", "cidrBlock", "ipv6CidrBlock")


def permissions(props: Properties, direction: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What is let through in a ``direction``: of a group with its rules, or of a rule that stands alone."""
    alone = "type" in props or "ipProtocol" in props or "ruleNumber" in props
    if not alone:
        for number, one in enumerate((direction in props and props[direction]) or ()):
            yield f"{direction}[{number}]", one
    elif props.get("type", direction) == direction and props.get("egress", False) is (direction == "egress"):
        yield "the rule", props


def open_to_world(one: Mapping[str, Any]) -> bool:
    """Whether everybody is on the other side."""
    return any(cidr in WORLD for key in _CIDRS if key in one for cidr in texts(one[key]))


def covers(one: Mapping[str, Any], port: int) -> bool:
    """Whether ``port`` is among those let through; some protocols have no ports."""
    protocol = str(one.get("protocol", one.get("ipProtocol", "-1")))
    if protocol in _ALL:
        return True
    low, high = one.get("fromPort"), one.get("toPort")
    return (
        protocol not in ("icmp", "icmpv6")
        and low is not None
        and int(low) <= port <= int(high if high is not None else low)
    )


def closed(ports: Iterable[int], *, remedy: str) -> Judged:
    """The world reaches none of ``ports``."""
    refused = tuple(ports)

    def judge(props: Properties) -> str | None:
        to_world = [item for item in permissions(props, "ingress") if open_to_world(item[1])]
        # Of an ACL the rule with the lowest number decides; groups have no numbers, and only allow.
        to_world.sort(key=lambda item: int(item[1].get("ruleNo", item[1].get("ruleNumber", 0))))
        for port in refused:
            place, decides = next((item for item in to_world if covers(item[1], port)), ("", {}))
            if decides and decides.get("action", decides.get("ruleAction", "allow")) == "allow":
                return f"{place} lets the world reach port {port}, it must be named networks or groups"
        return None

    return Judged(path="ingress", judge=judge, remedy=remedy, **_tried(refused[0], refused[0], 443))


def only(ports: Iterable[int], *, remedy: str) -> Judged:
    """The world reaches nothing but ``ports``."""
    allowed = tuple(ports)

    def judge(props: Properties) -> str | None:
        for place, one in permissions(props, "ingress"):
            if open_to_world(one) and not any(_just(one, port) for port in allowed):
                return f"{place} lets the world in, it must be to port {' or '.join(map(str, allowed))} only"
        return None

    return Judged(path="ingress", judge=judge, remedy=remedy, **_tried(8443, 0, allowed[0]))


def leaves_narrowly(props: Properties) -> str | None:
    """No rule lets everything out to everywhere."""
    for place, one in permissions(props, "egress"):
        if open_to_world(one) and str(one.get("protocol", one.get("ipProtocol", "-1"))) in _ALL:
            return f"{place} lets everything out to the world, it must name ports"
    return None


def _just(one: Mapping[str, Any], port: int) -> bool:
    return str(one.get("protocol", one.get("ipProtocol"))) == "tcp" and one.get("fromPort") == one.get("toPort") == port


def _tried(bad: int, low: int, good: int) -> dict[str, Any]:
    def group(**rule: Any) -> dict[str, Any]:
        return {"ingress": [{"protocol": "tcp", "cidrBlocks": ["0.0.0.0/0"], "ruleNo": 1, "action": "allow", **rule}]}

    return {
        "good": group(fromPort=good, toPort=good),
        "bad": (
            group(fromPort=low, toPort=bad),
            {
                "type": "ingress",
                "protocol": "-1",
                "cidrBlocks": ["10.0.0.0/8", "0.0.0.0/0"],
                "fromPort": 0,
                "toPort": 0,
            },
            {"ipProtocol": "tcp", "cidrIpv6": "::/0", "fromPort": bad, "toPort": bad},
        ),
    }
