"""Guardrails, the trail and the backups: what they refuse, who may write, and that they tell somebody."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pulumi_aws import backup, budgets, cloudtrail, cloudwatch, guardduty, s3

from components import private_bucket
from components.audit import Audit, writers
from components.backups import Backups, BackupsArgs, vault_policy
from components.board import Watched
from components.dashboard import body
from components.guardrails import Guardrails, GuardrailsArgs
from tests.support.recording import CONTEXT, PLACE, record

BUDGET = GuardrailsArgs(monthly_budget=500)


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="monthly_budget is 0; a budget that is always passed warns of nothing"):
        GuardrailsArgs(monthly_budget=0)


@pytest.mark.parametrize("days", [0, 40_000])
def test_backups_that_aws_does_not_keep_are_refused(days: int) -> None:
    with pytest.raises(ValueError, match=f"keep_days is {days}; AWS Backup keeps a point 1 to 36500 days"):
        BackupsArgs(keep_days=days)


def test_guardrails_that_can_tell_nobody_are_refused() -> None:
    with pytest.raises(ValueError, match="has no topic to go to"):
        record(lambda: Guardrails("guardrails", BUDGET, context=replace(CONTEXT, alarm_topics={})))


def test_severe_findings_wake_somebody_and_name_the_runbook() -> None:
    made = record(lambda: Guardrails("guardrails", BUDGET, context=CONTEXT))
    [rule] = made.all(cloudwatch.EventRule).values()
    assert json.loads(rule.inputs["eventPattern"])["detail"]["severity"] == [{"numeric": [">=", 7]}]
    [target] = made.all(cloudwatch.EventTarget).values()
    assert "runbooks/credential_compromise.md" in target.inputs["inputTransformer"]["inputTemplate"]
    features = made.all(guardduty.DetectorFeature).values()
    assert {one.inputs["status"] for one in features} == {"ENABLED"}


def test_the_budget_warns_before_and_when_the_month_will_not_hold() -> None:
    [budget] = record(lambda: Guardrails("guardrails", BUDGET, context=CONTEXT)).all(budgets.Budget).values()
    assert budget.inputs["limitAmount"] == "500"
    kinds = {(each["notificationType"], each["threshold"]) for each in budget.inputs["notifications"]}
    assert kinds == {("ACTUAL", 80), ("FORECASTED", 100)}


def test_the_trail_covers_every_region_and_shows_when_its_files_are_touched() -> None:
    made = record(lambda: Audit("audit", context=CONTEXT))
    [trail] = made.all(cloudtrail.Trail).values()
    assert trail.inputs["isMultiRegionTrail"]
    assert trail.inputs["enableLogFileValidation"]
    assert trail.inputs["kmsKeyId"]
    [block] = made.all(s3.BucketPublicAccessBlock).values()
    assert all(block.inputs[key] for key in ("blockPublicAcls", "blockPublicPolicy", "restrictPublicBuckets"))


def test_only_the_environment_s_own_trail_writes_below_its_prefix() -> None:
    arn = "arn:aws:s3:::audit"
    statements = writers(arn, PLACE, "test-audit")
    writes = [each for each in statements if "s3:PutObject" in each["Action"]]
    assert [each["Resource"] for each in writes] == [
        [f"{arn}/trail/AWSLogs/{PLACE.account_id}/*"],
        [f"{arn}/config/AWSLogs/{PLACE.account_id}/*"],
    ]
    assert all(each["Condition"]["StringEquals"] for each in statements)


def test_a_bucket_is_closed_without_tls_whoever_is_let_in() -> None:
    [denied] = json.loads(private_bucket.policy("arn:aws:s3:::one", []))["Statement"]
    assert denied["Effect"] == "Deny"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nobody_removes_a_backup_before_its_time() -> None:
    [denied] = json.loads(vault_policy())["Statement"]
    assert denied["Principal"] == "*"
    assert "backup:DeleteRecoveryPoint" in denied["Action"]


@pytest.mark.parametrize(("production", "vaults"), [(True, 2), (False, 1)])
def test_production_keeps_a_copy_in_the_recovery_region(production: bool, vaults: int) -> None:
    context = replace(CONTEXT, production=production)
    made = record(lambda: Backups("backups", BackupsArgs(keep_days=35), context=context))
    regions = [each.inputs.get("region") for each in made.all(backup.Vault).values()]
    assert len(regions) == vaults
    assert (context.recovery_region in regions) == production
    [plan] = made.all(backup.Plan).values()
    assert bool(plan.inputs["rules"][0].get("copyActions")) == production


def test_a_dashboard_has_a_row_a_component_and_no_widget_on_another() -> None:
    watched = [
        Watched(
            f"component-{number % 3}", f"alarm-{number}", f"arn:aws:cloudwatch:eu-west-3:1:alarm:{number}", "zone_loss"
        )
        for number in range(14)
    ]
    widgets = body(watched)["widgets"]
    assert [each["properties"]["markdown"] for each in widgets if each["type"] == "text"] == [
        "## component-0",
        "## component-1",
        "## component-2",
    ]
    taken: set[tuple[int, int]] = set()
    for each in widgets:
        cells = {
            (x, y)
            for x in range(each["x"], each["x"] + each["width"])
            for y in range(each["y"], each["y"] + each["height"])
        }
        assert not taken & cells
        taken |= cells


def test_a_dashboard_of_more_than_cloudwatch_shows_is_refused() -> None:
    watched = [
        Watched("one", f"alarm-{number}", f"arn:aws:cloudwatch:eu-west-3:1:alarm:{number}", "zone_loss")
        for number in range(600)
    ]
    with pytest.raises(ValueError, match="CloudWatch shows 500"):
        body(watched)
