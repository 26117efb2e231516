"""A Lambda function with everything around it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pulumi_aws import cloudwatch, iam, lambda_, sqs

from components.function import Function, FunctionArgs
from tests.support.recording import CONTEXT, Recording, record

CODE = "def handle(event, context):\n    return event\n"


@pytest.fixture
def args(tmp_path: Path) -> FunctionArgs:
    file = tmp_path / "work.py"
    file.write_text(CODE)
    return FunctionArgs(
        about="Does the work",
        files={"work.py": file},
        handler="work.handle",
        runbook="canary_abort",
        concurrency=1,
        permissions=[],
    )


def built(args: FunctionArgs) -> Recording:
    def program() -> None:
        Function("work", args, context=CONTEXT).callable_by("events", "events.amazonaws.com", source_arn="arn:rule")

    return record(program)


def test_the_package_holds_the_text_and_not_where_it_was_read(args: FunctionArgs, tmp_path: Path) -> None:
    code = built(args).one(lambda_.Function, "work").inputs["code"]
    assert code.assets["work.py"].text == CODE
    assert str(tmp_path) not in repr({name: vars(asset) for name, asset in code.assets.items()})


def test_it_runs_on_a_current_python_with_a_limit_traced_and_under_a_key(args: FunctionArgs) -> None:
    inputs = built(args).one(lambda_.Function, "work").inputs
    assert (inputs["runtime"], inputs["architectures"]) == ("python3.13", ["arm64"])
    assert inputs["reservedConcurrentExecutions"] == 1
    assert inputs["tracingConfig"] == {"mode": "Active"}
    assert inputs["kmsKeyArn"]
    assert inputs["deadLetterConfig"]["targetArn"]


def test_its_role_may_write_its_own_log_and_dead_letters_and_nothing_of_others(args: FunctionArgs) -> None:
    found = built(args)
    statements = found.statements(found.one(iam.RolePolicy, "work"))
    assert [statement["Action"][0] for statement in statements] == [
        "logs:CreateLogStream",
        "sqs:SendMessage",
        "kms:Decrypt",
        "xray:PutTraceSegments",
    ]
    assert all("*" not in statement["Resource"] for statement in statements[:-1])


def test_a_function_in_the_network_may_make_its_interfaces(args: FunctionArgs) -> None:
    found = built(replace(args, subnet_ids=["subnet-1"], security_group_ids=["sg-1"]))
    assert "ec2:CreateNetworkInterface" in found.statements(found.one(iam.RolePolicy, "work"))[-1]["Action"]
    assert found.one(lambda_.Function, "work").inputs["vpcConfig"]["subnetIds"] == ["subnet-1"]


def test_only_the_named_caller_may_call_it(args: FunctionArgs) -> None:
    [permission] = built(args).all(lambda_.Permission).values()
    assert (permission.inputs["principal"], permission.inputs["sourceArn"]) == ("events.amazonaws.com", "arn:rule")


def test_errors_throttles_and_dead_letters_raise_alarms_that_name_its_runbook(args: FunctionArgs) -> None:
    found = built(args)
    alarms = found.all(cloudwatch.MetricAlarm)
    assert set(alarms) == {"work-errors", "work-throttles", "work-dead-letters"}
    assert {alarm.inputs["tags"]["Runbook"] for alarm in alarms.values()} == {"canary_abort"}
    assert found.one(sqs.Queue, "work-dead-letters").inputs["kmsMasterKeyId"]
    assert found.one(cloudwatch.LogGroup, "work").inputs["kmsKeyId"]


def test_a_handler_that_is_in_no_file_is_refused(args: FunctionArgs) -> None:
    with pytest.raises(ValueError, match=r"handler is 'other\.handle', but files are work\.py"):
        replace(args, handler="other.handle")


def test_a_file_that_does_not_exist_is_refused(args: FunctionArgs, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'gone\.py', which does not exist"):
        replace(args, files={**args.files, "gone.py": tmp_path / "gone.py"})


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [("timeout_seconds", 901, "1 to 900"), ("memory_mib", 64, "128 to 10240"), ("concurrency", 0, "1 to 1000")],
)
def test_what_lambda_does_not_allow_is_refused(args: FunctionArgs, name: str, value: int, rule: str) -> None:
    changed: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"{name} is {value}; Lambda allows {rule}"):
        replace(args, **changed)


def test_subnets_without_a_security_group_are_refused(args: FunctionArgs) -> None:
    with pytest.raises(ValueError, match="needs both"):
        replace(args, subnet_ids=["subnet-1"])
