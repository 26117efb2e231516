"""What the firewall looks at, what it costs, and what it does before and after a rule is promoted."""

from dataclasses import replace
from typing import Any

import pytest
from pulumi_aws import cloudwatch, wafv2

from components import aws_facts
from components.firewall import REDACTED, Firewall, FirewallArgs, acl_rules
from components.firewall_rules import (
    NAMES,
    NO_SETS,
    RATES,
    Does,
    Profile,
    Rates,
    Rule,
    capacity,
    path,
    rules,
    units,
)
from tests.support.recording import CONTEXT, Recording, record

ARGS = FirewallArgs(profile=Profile.EVERYDAY, enforced=frozenset())
GROUPS = {rule.name for rule in rules(RATES[Profile.EVERYDAY], NO_SETS) if rule.does is Does.AS_ITS_RULES_SAY}


def made(*enforced: str) -> dict[str, dict[str, Any]]:
    """The rules of the web ACL by name."""
    found = acl_rules(rules(RATES[Profile.EVERYDAY], NO_SETS), frozenset(enforced))
    return {rule["name"]: rule for rule in found}


@pytest.fixture(scope="module")
def built() -> Recording:
    return record(lambda: Firewall("firewall", ARGS, context=CONTEXT))


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_counts_until_it_is_promoted_by_its_name_and_no_other_is_touched(name: str) -> None:
    before, after = made(), made(name)
    assert {key: rule for key, rule in before.items() if key != name} == {
        key: rule for key, rule in after.items() if key != name
    }
    key = "override_action" if name in GROUPS else "action"
    assert before[name][key] == {"count": {}}
    assert "count" not in after[name][key]


def test_a_group_of_aws_is_overridden_and_a_rule_of_ours_has_an_action() -> None:
    for name, rule in made(*NAMES).items():
        assert ("override_action" in rule, "action" in rule) == (name in GROUPS, name not in GROUPS)


def test_who_is_refused_reads_403_and_who_is_too_fast_429_with_when_to_come_back() -> None:
    promoted = made(*NAMES)
    refused = promoted["blocked-addresses"]["action"]["block"]["custom_response"]
    slowed = promoted["rate-checkout"]["action"]["block"]["custom_response"]
    assert (refused["response_code"], slowed["response_code"]) == (403, 429)
    assert slowed["response_headers"] == [{"name": "Retry-After", "value": "60"}]


def test_known_addresses_come_first_and_no_two_rules_share_a_priority() -> None:
    priorities = [rule["priority"] for rule in made().values()]
    assert priorities == sorted(set(priorities))
    assert list(made())[:2] == ["allowed-addresses", "blocked-addresses"]


def test_in_a_sale_the_queue_may_be_asked_more_and_the_checkout_less() -> None:
    usual, sale = RATES[Profile.EVERYDAY], RATES[Profile.ON_SALE]
    assert sale.queue > usual.queue
    assert sale.checkout < usual.checkout


def test_the_queue_is_counted_by_browser_and_the_checkout_by_login_each_on_its_path_alone() -> None:
    def rate(name: str) -> dict[str, Any]:
        found: dict[str, Any] = made()[name]["statement"]["rate_based_statement"]
        return found

    assert [next(iter(key)) for key in rate("rate-queue")["custom_keys"]] == ["ip", "ja4_fingerprint"]
    assert rate("rate-checkout")["custom_keys"][0]["header"]["name"] == "authorization"
    assert rate("rate-queue")["scope_down_statement"] == path("/queue")
    assert rate("rate-checkout")["scope_down_statement"] == path("/api/booking/checkout")


def test_rules_label_what_they_match_and_one_reads_the_labels_of_another() -> None:
    found = made()
    assert found["rate-queue"]["rule_labels"] == [{"name": "rate:queue"}]
    read = found["anonymous-checkout"]["statement"]["and_statement"]["statements"][0]["label_match_statement"]
    assert (read["scope"], read["key"]) == ("NAMESPACE", "awswaf:managed:aws:anonymous-ip-list:")
    assert found["anonymous-checkout"]["priority"] > found["anonymous-addresses"]["priority"]


def test_of_the_common_group_only_what_hits_our_own_pages_goes_on_counting() -> None:
    overrides = made("common-attacks")["common-attacks"]["statement"]["managed_rule_group_statement"]
    assert [each["name"] for each in overrides["rule_action_overrides"]] == [
        "SizeRestrictions_BODY",
        "CrossSiteScripting_BODY",
    ]


@pytest.mark.parametrize(
    ("statement", "wcu"),
    [
        (path("/x"), 2),
        ({"byte_match_statement": {**path("/x")["byte_match_statement"], "positional_constraint": "CONTAINS"}}, 10),
        (
            {
                "byte_match_statement": {
                    **path("/x")["byte_match_statement"],
                    "text_transformations": [{"priority": 0, "type": "LOWERCASE"}],
                }
            },
            12,
        ),
        ({"or_statement": {"statements": [{"ip_set_reference_statement": {}}, {"geo_match_statement": {}}]}}, 2),
        ({"not_statement": {"statements": [path("/x")]}}, 2),
        ({"rate_based_statement": {"limit": 10}}, 2),
        ({"rate_based_statement": {"custom_keys": [{"ip": {}}] * 2, "scope_down_statement": path("/x")}}, 64),
        ({"managed_rule_group_statement": {"name": "AWSManagedRulesCommonRuleSet"}}, 700),
    ],
)
def test_a_statement_costs_what_the_table_says(statement: dict[str, Any], wcu: int) -> None:
    assert capacity(statement) == wcu


def test_a_statement_that_the_table_lacks_is_refused_with_where_to_add_it() -> None:
    with pytest.raises(ValueError, match=r"'AWSManagedRulesNovelty' has no known capacity; add it to components/aws_f"):
        capacity({"managed_rule_group_statement": {"name": "AWSManagedRulesNovelty"}})


@pytest.mark.parametrize("profile", Profile)
def test_the_whole_firewall_fits_into_what_its_price_includes(profile: Profile) -> None:
    assert units(rules(RATES[profile], NO_SETS)) == 1282 <= aws_facts.WAF_INCLUDED


def test_rules_above_the_agreed_capacity_are_refused() -> None:
    with pytest.raises(ValueError, match="the rules need 1282 WCU, and capacity is 1281; take rules out"):
        replace(ARGS, capacity=1281)


def test_a_capacity_that_aws_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity is 5001 WCU; a web ACL has at most 5000"):
        replace(ARGS, capacity=5001)


def test_a_rule_that_does_not_exist_cannot_be_promoted() -> None:
    with pytest.raises(ValueError, match="enforced has rate-queu; the rules are allowed-addresses"):
        replace(ARGS, enforced=frozenset({"rate-queu"}))


@pytest.mark.parametrize("limit", [9, 2_000_000_001])
def test_a_rate_that_waf_does_not_count_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"rate of checkout is {limit}; AWS WAF counts 10 to 2000000000"):
        Rates(address=100, queue=100, checkout=limit)


def test_everything_of_it_is_in_the_region_of_cloudfront(built: Recording) -> None:
    for one in built.resources:
        if one.type.startswith(("aws:wafv2", "aws:cloudwatch", "aws:kms")):
            assert one.inputs["region"] == "us-east-1", one.name
    assert built.one(wafv2.WebAcl, "firewall").inputs["scope"] == "CLOUDFRONT"


def test_its_log_has_the_name_that_waf_asks_for_a_key_and_no_credentials(built: Recording) -> None:
    group = built.one(cloudwatch.LogGroup, "firewall").inputs
    assert group["name"].startswith("aws-waf-logs-")
    assert group["kmsKeyId"]
    log = built.one(wafv2.WebAclLoggingConfiguration, "firewall").inputs
    assert [field["singleHeader"]["name"] for field in log["redactedFields"]] == list(REDACTED)
    assert log["loggingFilter"]["defaultBehavior"] == "DROP"


def test_what_on_call_adds_to_a_list_is_not_undone(built: Recording) -> None:
    sets = built.all(wafv2.IpSet)
    assert {(one.inputs["ipAddressVersion"], one.name.split("-")[1]) for one in sets.values()} == {
        (family, role) for family in ("IPV4", "IPV6") for role in ("allowed", "blocked")
    }
    assert all(one.ignore_changes == ("addresses",) for one in sets.values())


def test_a_flood_of_refusals_wakes_somebody_with_the_runbook(built: Recording) -> None:
    alarm = built.one(cloudwatch.MetricAlarm, "firewall-refused").inputs
    assert alarm["dimensions"] == {"WebACL": "dev-firewall", "Rule": "ALL"}
    assert alarm["tags"]["Runbook"] == "waf_block"


def test_a_rule_without_a_label_gets_none() -> None:
    [rule] = acl_rules((Rule(name="x", does=Does.ALLOW, statement=path("/x")),), frozenset())
    assert "rule_labels" not in rule
