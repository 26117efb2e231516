"""IAM documents and the other JSON that components hand to AWS."""

import json

import pytest

from components import iam
from components.context import Place
from components.encryption import key_policy
from components.observability import topic_policy
from components.registry import lifecycle_policy
from components.saga import execution_policy
from components.secret_sync import reader_policy
from components.secrets import secret_policy

ACCOUNT = "123456789012"


def test_a_document_without_statements_is_refused() -> None:
    with pytest.raises(ValueError, match="0 statements"):
        iam.document()


def test_a_key_may_be_used_by_a_service_for_this_account_only() -> None:
    _, used = json.loads(key_policy(ACCOUNT, "aws", ["cloudwatch.amazonaws.com"]))["Statement"]
    assert used["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert used["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_a_key_for_logs_is_bound_to_log_groups_of_this_account() -> None:
    _, used = json.loads(key_policy(ACCOUNT, "aws", ["logs.eu-west-3.amazonaws.com"]))["Statement"]
    assert f":{ACCOUNT}:" in used["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]


def test_a_secret_is_closed_to_plain_http_and_to_other_accounts() -> None:
    plain, foreign = json.loads(secret_policy(arn="arn:secret", account_id=ACCOUNT))["Statement"]
    assert (plain["Effect"], plain["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert (foreign["Effect"], foreign["Condition"]) == (
        "Deny",
        {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}},
    )


def test_only_watchers_of_this_account_publish_alarms() -> None:
    *allowed, _ = json.loads(topic_policy("arn:topic", ACCOUNT))["Statement"]
    assert [each["Principal"]["Service"].split(".")[0] for each in allowed] == ["budgets", "cloudwatch", "events"]
    assert all(each["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}} for each in allowed)


def test_external_secrets_reads_this_environment_and_what_rds_keeps() -> None:
    read, decrypt = json.loads(
        reader_policy(Place(environment="dev", region="eu-west-3", account_id=ACCOUNT, partition="aws"))
    )["Statement"]
    assert {resource.rsplit(":", 1)[1] for resource in read["Resource"]} == {"dev/*", "rds!*"}
    assert decrypt["Condition"] == {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-3.amazonaws.com"}}


def test_the_state_machine_sends_to_its_own_queues_only() -> None:
    send, *_ = json.loads(execution_policy(["arn:one", "arn:two"], "arn:key"))["Statement"]
    assert (send["Action"], send["Resource"]) == (["sqs:SendMessage"], ["arn:one", "arn:two"])


def test_release_images_are_selected_before_any_rule_that_expires_builds() -> None:
    rules = json.loads(lifecycle_policy())["rules"]
    assert [rule["rulePriority"] for rule in rules] == [1, 2, 3]
    assert rules[0]["selection"]["tagPrefixList"] == ["release-"]


def test_cloudfront_uses_a_key_for_distributions_of_this_account_alone() -> None:
    [_, used] = json.loads(key_policy(ACCOUNT, "aws", ["cloudfront.amazonaws.com"]))["Statement"]
    assert used["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert used["Condition"] == {
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudfront::123456789012:distribution/*"},
    }
