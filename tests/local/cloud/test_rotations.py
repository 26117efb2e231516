"""Secrets Manager calls a secret's function step by step, and what fails stays pending and is counted."""

from __future__ import annotations

import io
import uuid
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scripts.local.cloud.running import Addresses
from scripts.local.processes import eventually

# A function that knows no store: the next value is the last one with its step behind it.
CODE = """
import os, boto3
def handler(event, context):
    secrets, arn, token = boto3.client("secretsmanager"), event["SecretId"], event["ClientRequestToken"]
    if event["Step"] == os.environ["FAILS_IN"]:
        raise ValueError("as asked")
    if event["Step"] == "createSecret":
        last = secrets.get_secret_value(SecretId=arn)["SecretString"]
        secrets.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=last + "+",
                                 VersionStages=["AWSPENDING"])
    if event["Step"] == "finishSecret":
        stages = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
        [current] = [version for version, held in stages.items() if "AWSCURRENT" in held]
        secrets.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                            RemoveFromVersionId=current)
"""


def secret(cloud: Addresses, *, fails_in: str = "") -> tuple[str, str]:
    """A secret with a schedule, and the name of its function."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", CODE)
    name = f"rotates-{uuid.uuid4().hex[:8]}"
    role = cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    function = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": packed.getvalue()},
        Environment={"Variables": {"FAILS_IN": fails_in}},
    )["FunctionArn"]
    secrets = cloud.client("secretsmanager")
    arn: str = secrets.create_secret(Name=name, SecretString="first")["ARN"]
    schedule = {"AutomaticallyAfterDays": 30}
    secrets.rotate_secret(SecretId=arn, RotationLambdaARN=function, RotationRules=schedule, RotateImmediately=False)
    return arn, name


def stages(cloud: Addresses, arn: str) -> list[list[str]]:
    found: dict[str, list[str]] = cloud.client("secretsmanager").describe_secret(SecretId=arn)["VersionIdsToStages"]
    return sorted(sorted(each) for each in found.values())


def errors(cloud: Addresses, function: str) -> float:
    now = datetime.now(UTC)
    found: Any = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in found))


def test_the_next_value_is_current_once_all_steps_are_done(cloud: Addresses) -> None:
    arn, function = secret(cloud)
    secrets = cloud.client("secretsmanager")
    secrets.rotate_secret(SecretId=arn)
    assert eventually(lambda: secrets.get_secret_value(SecretId=arn)["SecretString"] == "first+", timeout=30)
    assert errors(cloud, function) == 0
    secrets.rotate_secret(SecretId=arn)
    assert eventually(lambda: secrets.get_secret_value(SecretId=arn)["SecretString"] == "first++", timeout=30)


def test_what_fails_is_counted_leaves_the_value_and_is_not_begun_twice(cloud: Addresses) -> None:
    arn, function = secret(cloud, fails_in="testSecret")
    secrets = cloud.client("secretsmanager")
    assert stages(cloud, arn) == [["AWSCURRENT"]]
    secrets.rotate_secret(SecretId=arn)
    assert eventually(lambda: errors(cloud, function) == 1, timeout=30)
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "first"
    assert ["AWSPENDING"] in stages(cloud, arn)
    with pytest.raises(secrets.exceptions.InvalidRequestException, match="previous rotation isn't complete"):
        secrets.rotate_secret(SecretId=arn)


def test_a_secret_without_a_function_is_refused(cloud: Addresses) -> None:
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name=uuid.uuid4().hex, SecretString="alone")["ARN"]
    with pytest.raises(secrets.exceptions.InvalidRequestException, match="has no rotation function"):
        secrets.rotate_secret(SecretId=arn)
