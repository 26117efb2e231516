"""The rules of the firewall and what they cost, as pure functions: the order, the rates and the budget can be read.

A rule has a name, by which it is promoted; until then it counts. The order is that of the table: who is known comes
first, then what AWS knows of addresses and requests, then how often somebody asks, and last what the labels of the
rules before say together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pulumi

from components import aws_facts

Statement = Mapping[str, Any]
# Requests; AWS WAF API Reference, "RateBasedStatement".
_LIMITS = range(10, 2_000_000_001)
_MINUTE, _FIVE_MINUTES = 60, 300
QUEUE_PATH, CHECKOUT_PATH = "/queue", "/api/booking/checkout"
_ANONYMOUS = "awswaf:managed:aws:anonymous-ip-list:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests that one asks at most: an address in a minute, a browser at the queue in a minute, a buyer who pays in
    five.
    """

    address: int
    queue: int
    checkout: int

    def __post_init__(self) -> None:
        for name in ("address", "queue", "checkout"):
            if (value := getattr(self, name)) not in _LIMITS:
                raise ValueError(
                    f"rate of {name} is {value}; AWS WAF counts {_LIMITS.start} to {_LIMITS.stop - 1} requests: "
                    "take one in between"
                )


class Profile(StrEnum):
    """What is usual now. In a sale everybody waits, asking again and again, and nobody has reason to pay ten times."""

    EVERYDAY = "everyday"
    ON_SALE = "on-sale"


RATES: Mapping[Profile, Rates] = {
    Profile.EVERYDAY: Rates(address=2000, queue=120, checkout=60),
    Profile.ON_SALE: Rates(address=2000, queue=600, checkout=15),
}


class Does(StrEnum):
    """What a promoted rule does with a request. A group of AWS does what each of its rules says."""

    ALLOW = "allow"
    REFUSE = "refuse"
    SLOW_DOWN = "slow-down"
    AS_ITS_RULES_SAY = "as-its-rules-say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; ``label`` is put on what it matches, also while it only counts."""

    name: str
    does: Does
    statement: Statement
    label: str | None = None


_PLAIN = {"priority": 0, "type": "NONE"}
# Sets in place of those that are not made yet: what a rule costs does not depend on them.
NO_SETS: Mapping[str, Sequence[str]] = {"allowed": ("v4", "v6"), "blocked": ("v4", "v6")}


def path(prefix: str) -> Statement:
    """Requests whose path starts with ``prefix``."""
    return {
        "byte_match_statement": {
            "field_to_match": {"uri_path": {}},
            "positional_constraint": "STARTS_WITH",
            "search_string": prefix,
            "text_transformations": [_PLAIN],
        }
    }


def _listed(sets: Sequence[pulumi.Input[str]]) -> Statement:
    return {"or_statement": {"statements": [{"ip_set_reference_statement": {"arn": arn}} for arn in sets]}}


def _group(name: str, counted: Sequence[str] = ()) -> Statement:
    """A rule group of AWS, of whose rules those named count whatever happens."""
    return {
        "managed_rule_group_statement": {
            "vendor_name": "AWS",
            "name": f"AWSManagedRules{name}",
            "rule_action_overrides": [{"name": rule, "action_to_use": {"count": {}}} for rule in counted],
        }
    }


def _rate(limit: int, seconds: int, keys: Sequence[Mapping[str, Any]], only: Statement) -> Statement:
    return {
        "rate_based_statement": {
            "limit": limit,
            "aggregate_key_type": "CUSTOM_KEYS",
            "evaluation_window_sec": seconds,
            "custom_keys": list(keys),
            "scope_down_statement": only,
        }
    }


def rules(rates: Rates, sets: Mapping[str, Sequence[pulumi.Input[str]]]) -> tuple[Rule, ...]:
    """The firewall; ``sets`` are the ARNs of the IP sets, by ``allowed`` and ``blocked``."""
    return (
        Rule(name="allowed-addresses", does=Does.ALLOW, statement=_listed(sets["allowed"]), label="address:allowed"),
        Rule(name="blocked-addresses", does=Does.REFUSE, statement=_listed(sets["blocked"]), label="address:blocked"),
        Rule(name="ip-reputation", does=Does.AS_ITS_RULES_SAY, statement=_group("AmazonIpReputationList")),
        # People buy from offices and through carriers that look like hosting providers.
        Rule(
            name="anonymous-addresses",
            does=Does.AS_ITS_RULES_SAY,
            statement=_group("AnonymousIpList", counted=("HostingProviderIPList",)),
        ),
        # A seating plan is longer than the 8 KiB that the group allows, and descriptions of events hold HTML.
        Rule(
            name="common-attacks",
            does=Does.AS_ITS_RULES_SAY,
            statement=_group("CommonRuleSet", counted=("SizeRestrictions_BODY", "CrossSiteScripting_BODY")),
        ),
        Rule(name="known-bad-inputs", does=Does.AS_ITS_RULES_SAY, statement=_group("KnownBadInputsRuleSet")),
        Rule(name="sql-injection", does=Does.AS_ITS_RULES_SAY, statement=_group("SQLiRuleSet")),
        Rule(
            name="rate-address",
            does=Does.SLOW_DOWN,
            statement={"rate_based_statement": {
                "limit": rates.address, "aggregate_key_type": "IP", "evaluation_window_sec": _MINUTE,
            }},
            label="rate:address",
        ),
        # Behind one address of an office or a carrier are many browsers: each has its own count.
        Rule(
            name="rate-queue",
            does=Does.SLOW_DOWN,
            statement=_rate(
                rates.queue,
                _MINUTE,
                [{"ip": {}}, {"ja4_fingerprint": {"fallback_behavior": "MATCH"}}],
                path(QUEUE_PATH),
            ),
            label="rate:queue",
        ),
        # By login, wherever it comes from: a script changes its address more easily than its account.
        Rule(
            name="rate-checkout",
            does=Does.SLOW_DOWN,
            statement=_rate(
                rates.checkout,
                _FIVE_MINUTES,
                [{"header": {"name": "authorization", "text_transformations": [_PLAIN]}}],
                path(CHECKOUT_PATH),
            ),
            label="rate:checkout",
        ),
        Rule(
            name="anonymous-checkout",
            does=Does.REFUSE,
            statement={"and_statement": {"statements": [
                {"label_match_statement": {"scope": "NAMESPACE", "key": _ANONYMOUS}},
                path(CHECKOUT_PATH),
            ]}},
            label="checkout:anonymous",
        ),
    )  # fmt: skip


NAMES = tuple(rule.name for rule in rules(RATES[Profile.EVERYDAY], NO_SETS))


def units(firewall: Iterable[Rule]) -> int:
    """Web ACL capacity units of all rules together."""
    return sum(capacity(rule.statement) for rule in firewall)


def capacity(statement: Statement) -> int:
    """What a statement costs, from the table in `aws_facts`. Raises ValueError for one that the table lacks."""
    [(kind, body)] = statement.items()
    if kind in ("and_statement", "or_statement", "not_statement"):
        return sum(capacity(each) for each in body["statements"])
    if kind in ("ip_set_reference_statement", "label_match_statement", "geo_match_statement"):
        return aws_facts.WAF_LOOKUP
    narrowed = capacity(body["scope_down_statement"]) if "scope_down_statement" in body else 0
    if kind == "rate_based_statement":
        return aws_facts.WAF_RATE + aws_facts.WAF_RATE_KEY * len(body.get("custom_keys", ())) + narrowed
    if kind == "managed_rule_group_statement" and body["name"] in aws_facts.WAF_GROUPS:
        return aws_facts.WAF_GROUPS[body["name"]] + narrowed
    if kind == "byte_match_statement":
        changed = [each for each in body["text_transformations"] if each["type"] != "NONE"]
        return aws_facts.WAF_MATCHES[body["positional_constraint"]] + aws_facts.WAF_TRANSFORMATION * len(changed)
    raise ValueError(
        f"statement {kind} {body.get('name', '')!r} has no known capacity; add it to components/aws_facts.py with its "
        f"source (AWS WAF Developer Guide, read {aws_facts.CHECKED})"
    )
