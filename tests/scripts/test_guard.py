"""What an update may not do unasked."""

import pytest
from typer.testing import CliRunner

from scripts.cli import app
from scripts.deployment import Step
from scripts.guard import Refused, check

DATABASE = "aws:rds/instance:Instance"
URN = f"urn:pulumi:prod::event-platform::platform:database:Database${DATABASE}::booking-database"


def step(operation: str, kind: str = DATABASE, **versions: str) -> Step:
    before, after = ({"engineVersion": versions[side]} if side in versions else {} for side in ("before", "after"))
    return Step(operation, URN.replace(DATABASE, kind), kind, ("storageEncrypted",), before, after)


@pytest.mark.parametrize(("operation", "verb"), [("replace", "replaced"), ("delete", "deleted")])
def test_losing_what_holds_data_is_refused_with_the_cause_and_the_way_to_ask(operation: str, verb: str) -> None:
    with pytest.raises(Refused) as refused:
        check([step(operation)], [])
    assert f"booking-database ({DATABASE}) would be {verb} because storageEncrypted changed" in str(refused.value)
    assert f"--allow-replace '{URN}'" in str(refused.value)


def test_what_is_named_may_go() -> None:
    check([step("replace")], [URN])


@pytest.mark.parametrize("operation", ["create", "update"])
def test_making_and_changing_is_allowed(operation: str) -> None:
    check([step(operation)], [])


def test_what_holds_nothing_may_be_replaced() -> None:
    check([step("replace", "aws:cloudwatch/metricAlarm:MetricAlarm")], [])


def test_an_upgrade_that_takes_more_than_one_step_is_refused_with_the_way() -> None:
    with pytest.raises(Refused, match="cannot be upgraded from 12 to 17 in one step: go through 13 or 14"):
        check([step("update", before="12", after="17")], [])
    check([step("update", before="16", after="17")], [])


def test_the_owner_of_a_resource_is_its_component() -> None:
    assert step("update").owner == "Database"


def test_levels_that_nobody_wrote_are_refused_with_those_that_are_there() -> None:
    done = CliRunner().invoke(app, ["up", "dev", "--levels", "defualt"])
    assert done.exit_code == 2
    assert "there are default, prod" in " ".join(done.output.split())
