"""Subnet arithmetic: pure, so that a plan can be read and tested before an address is spent."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

# Amazon VPC User Guide, "VPC CIDR blocks": a block is /16 to /28; a subnet is at least /28.
_LARGEST, _SMALLEST_SUBNET = 16, 28
# A private subnet takes a sixteenth of the block, the other tiers a sixteenth of that.
_STEP = 4
# The most zones that the plan has room for, in every tier.
ZONES = 4


@dataclass(frozen=True, slots=True)
class SubnetPlan:
    """The subnets of each tier, one per zone, in the order of the zones."""

    private: tuple[str, ...]
    public: tuple[str, ...]
    data: tuple[str, ...]
    intra: tuple[str, ...]


def plan(cidr: str, zones: int) -> SubnetPlan:
    """Divide ``cidr`` over ``zones`` zones.

    Pods live in the private tier, so it gets large blocks at the start; the tiers that hold a few addresses (load
    balancers, databases, endpoints) share the ninth sixteenth. What is left over (blocks for more zones and for more
    tiers) lets a network grow without a replacement. Raises ValueError for a block that is not a network or is too
    small.
    """
    try:
        block = IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(
            f"cidr {cidr!r} is not an IPv4 network ({error}); write its first address, like 10.20.0.0/16"
        ) from error
    smallest = _SMALLEST_SUBNET - 2 * _STEP
    if not _LARGEST <= block.prefixlen <= smallest:
        raise ValueError(
            f"cidr {cidr!r} is a /{block.prefixlen}; four tiers need /{_LARGEST} to /{smallest}; take 10.20.0.0/16"
        )
    large = list(block.subnets(prefixlen_diff=_STEP))
    small = [str(net) for net in large[8].subnets(prefixlen_diff=_STEP)]

    def tier(number: int) -> tuple[str, ...]:
        return tuple(small[ZONES * number : ZONES * number + zones])

    return SubnetPlan(private=tuple(str(net) for net in large[:zones]), public=tier(0), data=tier(1), intra=tier(2))
