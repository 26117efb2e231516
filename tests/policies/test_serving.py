"""The pack as the engine asks it: over its protocol, with the recorded production and with what breaks it."""

from __future__ import annotations

from typing import Any

import pulumi_policy as sdk
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import analyzer_pb2

from policies.checks import Check
from policies.kit import Rule, published
from policies.packs import RULES
from policies.serving import judge_of
from scripts import record
from scripts.policy import judge
from tests.policies.support import given

QUEUE = "aws:sqs/queue:Queue"
URN = f"urn:pulumi:dev::p::{QUEUE}::it"


@pytest.fixture(scope="module")
def pack() -> Any:
    """What the engine speaks to."""
    policies = [published(rule) for rule in RULES]
    return judge_of(RULES)("platform", "0.0.1", policies, sdk.EnforcementLevel.MANDATORY)


def request(kind: str, props: dict[str, Any], urn: str = URN) -> Any:
    """One resource as the engine sends it."""
    sent = struct_pb2.Struct()
    sent.update(props)
    name = urn.rsplit("::", 1)[-1]
    return analyzer_pb2.AnalyzeRequest(type=kind, properties=sent, urn=urn, name=name)


def whole() -> Any:
    """The recorded production as the engine sends it at the end."""
    resources = []
    for item in record.read()["resources"]:
        sent = struct_pb2.Struct()
        sent.update(judge.plain(item.get("inputs") or {}))
        one = analyzer_pb2.AnalyzerResource(
            type=item["type"], properties=sent, urn=item["urn"], name=item["urn"].rsplit("::", 1)[-1]
        )
        for key, urns in (item.get("propertyDependencies") or {}).items():
            one.propertyDependencies[key].urns.extend(urns)
        resources.append(one)
    return analyzer_pb2.AnalyzeStackRequest(resources=resources)


def test_a_violation_is_told_by_its_own_name_and_level(pack: Any) -> None:
    answer = pack.Analyze(request(QUEUE, {"sqsManagedSseEnabled": False}), None)
    (told,) = answer.diagnostics
    assert told.policyName == "queue-encrypted"
    assert told.policyPackName == "platform"
    assert told.enforcementLevel == analyzer_pb2.MANDATORY


def test_a_compliant_resource_and_a_type_without_rules_are_passed(pack: Any) -> None:
    assert not pack.Analyze(request(QUEUE, {"kmsMasterKeyId": "k"}), None).diagnostics
    assert not pack.Analyze(request("random:index/randomPet:RandomPet", {}), None).diagnostics


def test_what_is_not_known_yet_is_said_once_and_stops_nothing(pack: Any) -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    answer = pack.Analyze(request(QUEUE, {"kmsMasterKeyId": unknown}), None)
    assert not answer.diagnostics
    assert "the update decides" in answer.not_applicable[0].reason


def test_production_passes_over_the_protocol(pack: Any) -> None:
    for item in record.read()["resources"]:
        answer = pack.Analyze(request(item["type"], judge.plain(item.get("inputs") or {}), item["urn"]), None)
        assert [told.message for told in answer.diagnostics] == [], item["urn"]
    assert [told.message for told in pack.AnalyzeStack(whole(), None).diagnostics] == []


def test_what_is_missed_in_a_stack_is_told_of_the_resource(pack: Any) -> None:
    stack = whole()
    left = [one for one in stack.resources if one.type != "aws:ec2/flowLog:FlowLog"]
    answer = pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=left), None)
    (told,) = answer.diagnostics
    assert told.policyName == "network-flows-logged"
    assert told.urn.endswith("::network-vpc")


def test_what_the_engine_cannot_see_yet_is_left_to_the_update(pack: Any) -> None:
    stack = whole()
    for one in stack.resources:
        if one.type.startswith("kubernetes:"):
            one.properties.Clear()
    answer = pack.AnalyzeStack(stack, None)
    assert [told.message for told in answer.diagnostics] == []
    reasons = {told.policy_name: told.reason for told in answer.not_applicable}
    assert "cannot be seen yet; the update decides" in reasons["pods-guarded"]


def test_an_environment_may_set_levels(pack: Any) -> None:
    config = {"queue-encrypted": analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.ADVISORY)}
    other = judge_of(RULES)("platform", "0.0.1", [published(rule) for rule in RULES], sdk.EnforcementLevel.MANDATORY)
    other.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=config), None)
    (told,) = other.Analyze(request(QUEUE, {"sqsManagedSseEnabled": False}), None).diagnostics
    assert told.enforcementLevel == analyzer_pb2.ADVISORY


def test_every_policy_is_announced_with_its_level(pack: Any) -> None:
    announced = {policy.name: policy for policy in pack.GetAnalyzerInfo(None, None).policies}
    assert set(announced) == {rule.name for rule in RULES}
    assert announced["database-encrypted"].enforcementLevel == analyzer_pb2.MANDATORY
    assert announced["database-multi-az"].enforcementLevel == analyzer_pb2.ADVISORY


MENDED = [rule for rule in RULES if rule.mends]


@pytest.mark.parametrize("rule", MENDED, ids=lambda rule: rule.name)
def test_what_an_environment_lets_the_engine_mend_complies_afterwards(rule: Rule) -> None:
    check = rule.check
    assert isinstance(check, Check)
    one = judge_of(RULES)("platform", "0.0.1", [published(each) for each in RULES], sdk.EnforcementLevel.MANDATORY)
    config = {rule.name: analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.REMEDIATE)}
    one.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=config), None)
    broken = {**given(check, check.bad[0]), "kept": "as it is"}
    (mended,) = one.Remediate(request(rule.types[0], broken), None).remediations
    assert not mended.diagnostic
    assert check(dict(mended.properties.items())) is None
    assert mended.properties["kept"] == "as it is"
    assert not one.Remediate(request(rule.types[0], given(check, check.good)), None).remediations


def test_nothing_is_mended_unless_an_environment_says_so(pack: Any) -> None:
    key = request("aws:kms/key:Key", {"enableKeyRotation": False})
    assert not pack.Remediate(key, None).remediations
