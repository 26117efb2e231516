"""Dev whole, on the simulated cloud: the same shape as production, smaller, and gone without a step in between."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from components.canary_spec import shares
from components.functions.canary_rollback import settle_all
from scripts.local import rehearsal
from tests.environments.conftest import Made, quiet

pytestmark = [pytest.mark.xdist_group("dev"), pytest.mark.timeout(600)]


def test_dev_is_made_and_made_again_without_a_change(dev: Made) -> None:
    assert set(dev.changes) == {"create"}
    assert set(dev.stack.up(quiet)) == {"same"}


def test_dev_has_one_node_of_everything_and_nothing_is_protected(dev: Made) -> None:
    program = dev.program
    assert not [one.name for one in program.resources if one.protect]
    assert not any(one["multiAz"] for one in program.all("aws:rds/instance:Instance"))
    assert {one["numCacheClusters"] for one in program.all("aws:elasticache/replicationGroup:ReplicationGroup")} == {1}


def test_in_the_midst_of_a_canary_and_after_it_was_taken_back_a_preview_shows_no_difference(dev: Made) -> None:
    outputs = next(one for one in dev.state["resources"] if one["type"] == "pulumi:pulumi:Stack")["outputs"]
    canary, elb = outputs["canaries"]["booking"], dev.stack.client("elbv2")

    def weights() -> dict[str, int]:
        [action] = elb.describe_rules(RuleArns=[canary["rule"]])["Rules"][0]["Actions"]
        return {each["TargetGroupArn"]: each["Weight"] for each in action["ForwardConfig"]["TargetGroups"]}

    assert weights() == {canary["stable"]: 999, canary["canary"]: 0}
    groups = [{"TargetGroupArn": canary[track], "Weight": share} for track, share in shares(250).items()]
    elb.modify_rule(RuleArn=canary["rule"], Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])
    assert set(dev.stack.preview(quiet)) == {"same"}
    assert weights() == {canary["stable"]: 750, canary["canary"]: 250}

    [target] = dev.stack.client("events").list_targets_by_rule(Rule=_schedule(dev))["Targets"]
    outcomes = settle_all(json.loads(target["Input"]), elb, dev.stack.client("ssm"), now=datetime.now(UTC))
    assert outcomes.pop(canary["rule"]) == "taken back"
    assert set(outcomes.values()) == {"no traffic"}
    assert set(dev.stack.preview(quiet)) == {"same"}


def _schedule(dev: Made) -> str:
    """The rule that looks at leases, every minute."""
    [rule] = [one for one in dev.program.all("aws:cloudwatch/eventRule:EventRule") if one["scheduleExpression"]]
    return rule.id


def test_dev_is_removed_without_a_trace(dev: Made) -> None:
    dev.stack.destroy(quiet)
    assert dev.stack.export().get("resources", []) == []
    assert rehearsal.left_over(dev.stack) == []
