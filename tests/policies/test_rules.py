"""Every rule on a compliant resource, on violating ones, on an absent property, on an unknown one, and when excused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from policies import exemptions
from policies.catalogue import entries
from policies.checks import Check, Judged, shown
from policies.kit import Rule, published
from policies.packs import RULES
from policies.stacks import Companion, Exists
from scripts.policy.judge import resource
from tests.policies.support import UNKNOWN, Undecided, bare, given, judge, judge_stack, put, where

ON_RESOURCES = [rule for rule in RULES if rule.check is not None]
TABLED = [rule for rule in ON_RESOURCES if isinstance(rule.check, Check)]
JUDGED = [rule for rule in ON_RESOURCES if isinstance(rule.check, Judged)]
COMPANIONS = [rule for rule in RULES if isinstance(rule.stack, Companion)]
EXISTS = [rule for rule in RULES if isinstance(rule.stack, Exists)]


def named(rule: Rule) -> str:
    """How a case is called."""
    return rule.name


each_tabled = pytest.mark.parametrize("rule", TABLED, ids=named)
each_judged = pytest.mark.parametrize("rule", JUDGED, ids=named)
each_companion = pytest.mark.parametrize("rule", COMPANIONS, ids=named)
each_exists = pytest.mark.parametrize("rule", EXISTS, ids=named)


def check_of(rule: Rule) -> Any:
    """Its check, which is there."""
    assert rule.check is not None
    return rule.check


@pytest.fixture(autouse=True)
def without_exemptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemptions, "current", lambda: exemptions.Exemptions([], date(2026, 1, 1)))


@each_tabled
def test_a_compliant_value_passes(rule: Rule) -> None:
    assert judge(rule, given(check_of(rule), check_of(rule).good)) == []


@each_tabled
def test_a_violating_value_is_told_with_property_and_remedy(rule: Rule) -> None:
    check = check_of(rule)
    for value in check.bad:
        (message,) = judge(rule, given(check, value))
        assert check.path.replace("[]", "[0]").split(".")[-1] in message
        assert f"it must be {check.wanted}" in message
        assert rule.remedy in message


@each_tabled
def test_an_absent_property_is_judged_by_what_its_absence_means(rule: Rule) -> None:
    check = check_of(rule)
    props = bare(check)
    if check.when and isinstance(check.when[1][0], (str, bool)):
        props = {**props, check.when[0]: check.when[1][0]}
    # A list that is absent has no items that could be wrong.
    fine = check.absent_is_fine or "[]" in check.path
    assert (judge(rule, props) == []) is fine


@each_tabled
def test_a_value_that_is_not_known_yet_is_left_to_the_update(rule: Rule) -> None:
    with pytest.raises(Undecided, match="the update decides"):
        judge(rule, given(check_of(rule), UNKNOWN))


@each_tabled
def test_a_rule_looks_at_its_own_types_only(rule: Rule) -> None:
    assert judge(rule, given(check_of(rule), check_of(rule).bad[0]), kind="random:index/randomPet:RandomPet") == []


@each_judged
def test_a_compliant_resource_passes(rule: Rule) -> None:
    if check_of(rule).path:
        assert judge(rule, check_of(rule).good) == []


@each_judged
def test_a_violating_resource_is_told_with_the_remedy(rule: Rule) -> None:
    for props in check_of(rule).bad:
        (message,) = judge(rule, props)
        assert "must" in message
        assert rule.remedy in message


@each_judged
def test_an_absent_property_of_a_judged_resource(rule: Rule) -> None:
    if check_of(rule).path:
        empty = bare(check_of(rule)) or {}
        assert (judge(rule, empty) == []) is check_of(rule).absent_is_fine or rule.types[0].startswith("kubernetes:")


@each_judged
def test_an_unknown_property_of_a_judged_resource(rule: Rule) -> None:
    path = check_of(rule).path
    if path:
        with pytest.raises(Undecided, match="the update decides"):
            judge(rule, {path: UNKNOWN})


@pytest.mark.parametrize("rule", ON_RESOURCES, ids=named)
def test_an_exempt_resource_is_excused_with_who_and_until_when(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    one = exemptions.Exemption(
        policy=rule.name,
        urn="*::it",
        owner="team",
        reason="why",
        ticket="T-1",
        since=date(2026, 1, 1),
        expires=date(2026, 6, 1),
    )
    check = check_of(rule)
    props = given(check, check.bad[0]) if isinstance(check, Check) else check.bad[0]
    monkeypatch.setattr(exemptions, "current", lambda: exemptions.Exemptions([one], date(2026, 6, 1)))
    with pytest.raises(Undecided, match=r"exempt until 2026-06-01 \(T-1, team\): why"):
        judge(rule, props)
    monkeypatch.setattr(exemptions, "current", lambda: exemptions.Exemptions([one], date(2026, 6, 2)))
    assert len(judge(rule, props)) == 1


def fulfilling(checks: tuple[Check, ...], *, broken: bool = False) -> dict[str, Any]:
    """Properties that hold every check, or break the first."""
    props: dict[str, Any] = {}
    for number, check in enumerate(checks):
        props = put(props, where(check), check.bad[0] if broken and number == 0 else check.good)
    return props


def beside(rule: Rule, props: Mapping[str, Any]) -> list[Any]:
    """A resource, and the companion that is linked to it."""
    stack: Any = rule.stack
    one = resource(stack.of[0], {}, "urn:pulumi:dev::p::of::one")
    other = resource(stack.by[0], props, "urn:pulumi:dev::p::by::other")
    other.property_dependencies[stack.link] = [one]
    return [one, other]


@each_companion
def test_what_has_its_companion_passes(rule: Rule) -> None:
    stack: Any = rule.stack
    assert judge_stack(rule, beside(rule, fulfilling(stack.checks))) == []


@each_companion
def test_what_lacks_its_companion_is_told(rule: Rule) -> None:
    stack: Any = rule.stack
    alone = beside(rule, {})[0]
    if not stack.spare(alone):
        (message,) = judge_stack(rule, [alone])
        assert stack.says in message
    if stack.checks:
        (message,) = judge_stack(rule, beside(rule, fulfilling(stack.checks, broken=True)))
        assert rule.remedy in message


@each_companion
def test_a_companion_that_is_not_known_yet_is_left_to_the_update(rule: Rule) -> None:
    stack: Any = rule.stack
    if stack.checks:
        assert judge_stack(rule, beside(rule, put({}, where(stack.checks[0]), UNKNOWN))) == []


@each_exists
def test_what_must_exist_is_missed_where_it_is_called_for(rule: Rule) -> None:
    stack: Any = rule.stack
    anchor = resource(stack.beside[0], {}, "urn:pulumi:dev::p::beside::anchor")
    there = resource(stack.of[0], fulfilling(stack.checks), "urn:pulumi:dev::p::of::there")
    wrong = resource(stack.of[0], fulfilling(stack.checks, broken=True), "urn:pulumi:dev::p::of::wrong")
    assert judge_stack(rule, [anchor, there]) == []
    assert judge_stack(rule, []) == []
    assert stack.says in judge_stack(rule, [anchor])[0]
    assert stack.says in judge_stack(rule, [anchor, wrong])[0]


def test_every_rule_says_what_it_proves_how_grave_it_is_and_what_to_do() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        policy = published(rule)
        assert set(rule.ids) <= set(entries()), rule.name
        assert policy.severity is not None, rule.name
        assert policy.remediation_steps, rule.name
        assert str(policy.url).startswith("https://"), rule.name


def test_the_first_rules_keep_their_names() -> None:
    assert {rule.name for rule in RULES} >= {
        *("database-encrypted", "database-private", "broker-private", "cache-encrypted-in-transit", "queue-encrypted"),
        *("key-rotates", "default-security-group-closed", "image-by-digest", "no-privilege-escalation", "saga-logged"),
        *("image-tags-immutable", "cluster-endpoint-private"),
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("password", "hunter2"),
        ("environment.KEY", "AKIA" + "A" * 16),
        ("url", "amqps://user:pass@host"),
        ("masterToken", "x"),
    ],
)
def test_a_value_that_may_be_a_secret_is_never_shown(path: str, value: str) -> None:
    assert value not in shown(path, value)
