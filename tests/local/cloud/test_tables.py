"""The tables agree with the SDK and with botocore, and the checks that they rest on work."""

from __future__ import annotations

import pytest

from scripts.local.cloud import changes, coverage, plan, sdk, shapes
from scripts.local.cloud.answers import same
from scripts.local.cloud.backend import UNKNOWN, Change
from scripts.local.cloud.plan import uses_store
from scripts.local.cloud.services import rows
from scripts.local.cloud.table import Call, Row


def _calls(row: Row) -> list[Call]:
    single = [call for call in (row.read, row.delete) if call]
    return [row.create, *row.instead, *row.after, *row.update, *row.before_delete, *single]


@pytest.mark.parametrize("token", sorted(rows()))
def test_every_row_names_only_what_the_sdk_and_botocore_know(token: str) -> None:
    row = rows()[token]
    model = sdk.model(token)
    for call in _calls(row):
        shape = shapes.operation(call.service or row.service, call.method).input_shape
        assert set(call.params) <= set(shape.members if shape else ()), call.method
        assert {*call.when, *call.uses} <= set(model.inputs), call.method
    assert {name.split(".")[0] for name in (*row.replaces, *row.mutable)} <= set(model.inputs)
    assert set(row.outputs) <= model.outputs | set(model.inputs)
    assert set(row.defaults) <= model.outputs


@pytest.mark.parametrize("token", sorted(rows()))
def test_a_call_that_is_made_again_for_an_update_says_which_inputs_its_functions_look_at(token: str) -> None:
    """Else a change of one of them is recorded and never made."""
    row = rows()[token]
    if row.upsert and not uses_store(row) and any(callable(source) for source in row.create.params.values()):
        assert row.create.uses


@pytest.mark.parametrize("token", sorted(rows()))
def test_every_parameter_that_a_call_requires_has_a_source(token: str) -> None:
    row = rows()[token]
    inputs = sdk.model(token).inputs
    for call in _calls(row):
        operation = shapes.operation(call.service or row.service, call.method)
        if operation.input_shape is None or not (call.auto or call.params):
            continue
        filled: set[str | None] = {*call.params, *operation.idempotent_members}
        if call.auto:
            filled |= {row.names.get(name) or shapes.member(operation.input_shape, name) for name in inputs}
        assert set(operation.input_shape.required_members) <= filled, call.method


def test_the_coverage_list_is_current() -> None:
    assert coverage.DOCUMENT.read_text() == coverage.render(), "run `python -m scripts.local.cloud.coverage`"


@pytest.mark.parametrize(
    ("token", "property", "replaced"),
    [
        ("aws:ec2/vpc:Vpc", "cidrBlock", True),
        ("aws:ec2/vpc:Vpc", "enableDnsHostnames", False),
        ("aws:rds/instance:Instance", "storageEncrypted", True),
        ("aws:rds/instance:Instance", "dbName", True),
        ("aws:rds/instance:Instance", "instanceClass", False),
        ("aws:rds/instance:Instance", "deletionProtection", False),
        ("aws:mq/broker:Broker", "securityGroups", True),
        ("aws:sqs/queue:Queue", "fifoQueue", True),
        ("aws:sqs/queue:Queue", "visibilityTimeoutSeconds", False),
        ("aws:ec2/launchTemplate:LaunchTemplate", "metadataOptions", False),
        ("aws:elasticache/replicationGroup:ReplicationGroup", "transitEncryptionEnabled", False),
        ("aws:elasticache/replicationGroup:ReplicationGroup", "atRestEncryptionEnabled", True),
        ("aws:iam/role:Role", "assumeRolePolicy", False),
        ("aws:iam/role:Role", "path", True),
        ("aws:ecr/repository:Repository", "encryptionConfigurations", True),
        ("aws:ecr/repository:Repository", "imageTagMutability", False),
        ("aws:secretsmanager/secret:Secret", "kmsKeyId", False),
    ],
)
def test_what_aws_can_change_is_changed_and_the_rest_is_replaced(token: str, property: str, replaced: bool) -> None:
    assert (property in plan.replaces(rows()[token])) is replaced


def test_an_unknown_value_is_accepted_wherever_a_value_is() -> None:
    model = sdk.model("aws:rds/instance:Instance")
    inputs = {"instanceClass": UNKNOWN, "vpcSecurityGroupIds": [UNKNOWN], "tags": {"a": UNKNOWN}}
    assert sdk.check(model.inputs, inputs) == []


def test_nested_blocks_are_checked_as_deep_as_they_go() -> None:
    model = sdk.model("aws:wafv2/webAcl:WebAcl")
    inputs = {
        "scope": "REGIONAL",
        "defaultAction": {"allow": {}},
        "visibilityConfig": {"cloudwatchMetricsEnabled": True, "metricName": "m", "sampledRequestsEnabled": True},
        "rules": [{"name": "r", "priority": 1, "statement": {"rateBasedStatement": {"limt": 5}}}],
    }
    told = {refusal.property for refusal in sdk.check(model.inputs, inputs)}
    assert "rules[0].statement.rateBasedStatement.limt" in told
    assert "rules[0].statement.rateBasedStatement.limit" in told


def test_blocks_become_what_the_call_takes() -> None:
    shape = shapes.operation("cloudwatch", "put_metric_alarm").input_shape
    assert shape is not None
    sent = shapes.parameters(shape, {"dimensions": {"QueueName": "q"}, "threshold": 1, "alarmActions": ["arn"]})
    assert sent == {"Dimensions": [{"Name": "QueueName", "Value": "q"}], "Threshold": 1.0, "AlarmActions": ["arn"]}


def test_botocore_refuses_a_missing_parameter_but_waits_for_an_unknown_one() -> None:
    shape = shapes.operation("kms", "create_alias").input_shape
    assert shapes.check(shape, {"AliasName": "alias/a", "TargetKeyId": UNKNOWN}) == []
    [refusal] = shapes.check(shape, {"AliasName": "alias/a"})
    assert "TargetKeyId" in refusal.reason


@pytest.mark.parametrize(
    ("asked", "there", "equal"),
    [
        (["b", "a"], ["a", "b"], True),
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', True),
        (True, "true", True),
        (30, "30", True),
        ({"a": 1}, {"a": 1, "default": 2}, True),
        (["a"], ["a", "b"], False),
        ("a", "b", False),
    ],
)
def test_what_is_there_is_compared_by_meaning(asked: object, there: object, equal: bool) -> None:
    assert same(asked, there) is equal


def test_differences_are_named_by_path() -> None:
    old = {"tags": {"a": "1", "b": "2"}, "rules": [{"port": 1}], "same": [1, 2]}
    new = {"tags": {"a": "1", "c": "3"}, "rules": [{"port": 2}], "same": [2, 1], "fresh": True}
    assert changes.differences(old, new) == {
        "fresh": Change.ADD,
        "rules[0].port": Change.UPDATE,
        "tags.b": Change.DELETE,
        "tags.c": Change.ADD,
    }
