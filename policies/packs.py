"""The packs, by who signs them. One process serves them all: four would each read every resource again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.kit import Rule
from policies.rules import (
    audit,
    brokers,
    cluster_objects,
    compute,
    databases,
    edge,
    house,
    identity,
    messaging,
    network,
    pods,
    secrets,
    storage,
)

PACKS: Mapping[str, Sequence[Rule]] = {
    "aws-baseline": [*network.RULES, *compute.RULES, *edge.RULES, *identity.RULES, *messaging.RULES, *audit.RULES],
    "kubernetes": [*pods.RULES, *cluster_objects.RULES],
    "data-protection": [*databases.RULES, *brokers.RULES, *storage.RULES, *secrets.RULES],
    "platform": house.RULES,
}
RULES: Sequence[Rule] = [rule for rules in PACKS.values() for rule in rules]
