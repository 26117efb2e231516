"""Which workflow may take which role, and what no pipeline may do."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pulumi_aws import iam

from components.delivery import Delivery, DeliveryArgs, boundary, state_bucket, state_statements, trust
from tests.support.recording import ACCOUNT, CONTEXT, PLACE, REGION, Recording, record

ARGS = DeliveryArgs(
    repository="example/event-platform",
    plan_subjects=["repo:example/event-platform:pull_request"],
    apply_subjects=["repo:example/event-platform:environment:prod"],
)
BOUNDARY = boundary(replace(PLACE, environment="prod"), recovery_region="eu-west-1")


@pytest.fixture(scope="module")
def built() -> Recording:
    return record(lambda: Delivery("delivery", ARGS, context=CONTEXT))


@pytest.mark.parametrize("subject", ["repo:example/event-platform:*", "repo:example/event-platform:ref:refs/heads/?"])
def test_a_wildcard_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="a wildcard lets unknown workflows in: name each exactly"):
        replace(ARGS, apply_subjects=[subject])


@pytest.mark.parametrize("kind", ["plan_subjects", "apply_subjects"])
def test_a_missing_subject_is_refused(kind: str) -> None:
    changed: dict[str, Any] = {kind: []}
    with pytest.raises(ValueError, match=f"{kind} is empty"):
        replace(ARGS, **changed)


def test_a_subject_of_another_repository_is_refused() -> None:
    with pytest.raises(ValueError, match="must start with repo:example/event-platform:"):
        replace(ARGS, plan_subjects=["repo:example/event-platform-fork:pull_request"])


def test_a_subject_that_plans_and_applies_is_refused() -> None:
    with pytest.raises(ValueError, match="a workflow takes one of the roles"):
        replace(ARGS, plan_subjects=ARGS.apply_subjects)


@pytest.mark.parametrize("repository", ["event-platform", "example/", "*/event-platform", "a/b/c"])
def test_what_is_no_repository_is_refused(repository: str) -> None:
    with pytest.raises(ValueError, match="owner/name"):
        replace(ARGS, repository=repository)


def test_the_subject_and_the_audience_are_compared_exactly() -> None:
    [statement] = json.loads(trust("arn:provider", ARGS.apply_subjects))["Statement"]
    assert set(statement["Condition"]) == {"StringEquals"}
    assert statement["Condition"]["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": ["repo:example/event-platform:environment:prod"],
    }


def test_the_boundary_fits_into_a_managed_policy() -> None:
    # IAM counts characters without white space: 6,144 at most (IAM User Guide, "IAM and AWS STS quotas").
    assert len("".join(BOUNDARY.split())) <= 6144


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateUser", "*"),
        ("iam:CreateAccessKey", "*"),
        ("organizations:*", "*"),
        ("iam:Delete*", f"arn:aws:iam::{ACCOUNT}:policy/prod-delivery-*"),
        ("iam:Put*", f"arn:aws:iam::{ACCOUNT}:role/prod-delivery-*"),
        ("iam:Update*", f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"),
    ],
)
def test_no_pipeline_may(action: str, resource: str) -> None:
    denied = [one for one in json.loads(BOUNDARY)["Statement"] if one["Effect"] == "Deny"]
    assert any(action in one.get("Action", []) and resource in one["Resource"] for one in denied)


def test_no_pipeline_leaves_the_regions_of_the_environment() -> None:
    [elsewhere] = [one for one in json.loads(BOUNDARY)["Statement"] if "NotAction" in one]
    assert elsewhere["Effect"] == "Deny"
    assert elsewhere["Condition"]["StringNotEquals"]["aws:RequestedRegion"] == ["eu-west-1", "eu-west-3", "us-east-1"]


def test_both_roles_live_below_the_boundary_for_an_hour_at_most(built: Recording) -> None:
    roles = built.all(iam.Role)
    assert set(roles) == {"delivery-plan", "delivery-apply"}
    for role in roles.values():
        assert role.inputs["permissionsBoundary"]
        assert role.inputs["maxSessionDuration"] == 3600


def test_the_role_that_plans_reads_only(built: Recording) -> None:
    attached = [one.name for one in built.all(iam.RolePolicyAttachment).values() if "plan" in one.name]
    assert attached == ["delivery-plan-ReadOnlyAccess"]


def test_the_state_is_reached_in_its_bucket_and_with_its_key_alone() -> None:
    bucket = state_bucket(ACCOUNT, REGION)
    statements = state_statements(PLACE)
    assert [one["Resource"] for one in statements[:2]] == [[f"arn:aws:s3:::{bucket}/*"], [f"arn:aws:s3:::{bucket}"]]
    assert statements[2]["Condition"] == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/event-platform-state"}
    }


def test_the_role_that_plans_reads_no_data_but_the_state(built: Recording) -> None:
    [denied] = built.statements(built.one(iam.RolePolicy, "delivery-plan-no-data"))
    assert denied["Effect"] == "Deny"
    assert {"s3:GetObject*", "sqs:ReceiveMessage"} <= set(denied["Action"])
    assert denied["NotResource"] == [f"arn:aws:s3:::{state_bucket(ACCOUNT, REGION)}/*"]
