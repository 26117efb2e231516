"""The subnet plan."""

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.addresses import plan


@given(prefix=st.integers(16, 20), zones=st.integers(2, 4))
def test_no_two_subnets_overlap_and_all_lie_in_the_block(prefix: int, zones: int) -> None:
    block = IPv4Network(f"10.20.0.0/{prefix}")
    found = plan(str(block), zones)
    subnets = [IPv4Network(cidr) for tier in (found.private, found.public, found.data, found.intra) for cidr in tier]
    assert len(subnets) == 4 * zones
    assert all(subnet.subnet_of(block) for subnet in subnets)
    assert not any(one.overlaps(other) for one in subnets for other in subnets if one is not other)


def test_another_zone_moves_no_subnet_that_exists() -> None:
    before, after = plan("10.20.0.0/16", 2), plan("10.20.0.0/16", 3)
    assert after.private[:2] == before.private
    assert after.public[:2] == before.public
    assert after.data[:2] == before.data
    assert after.intra[:2] == before.intra


def test_pods_get_thousands_of_addresses_in_each_zone() -> None:
    assert IPv4Network(plan("10.20.0.0/16", 3).private[0]).num_addresses == 4096


@pytest.mark.parametrize(
    ("cidr", "rule"),
    [
        ("10.20.0.1/16", "not an IPv4 network"),
        ("10.20.0.0/21", "four tiers need /16 to /20"),
        ("10.0.0.0/8", "four tiers need /16 to /20"),
        ("everywhere", "not an IPv4 network"),
    ],
)
def test_a_block_that_cannot_be_divided_is_refused_with_value_rule_and_remedy(cidr: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule) as refused:
        plan(cidr, 3)
    assert repr(cidr) in str(refused.value)
    assert "10.20.0.0/16" in str(refused.value)
