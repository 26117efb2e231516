"""A Lambda function runs as it was deployed, when somebody waits for its answer."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from scripts.local.cloud.running import Addresses

CODE = """
import os, boto3
def handler(event, context):
    print("said on the way")
    if event.get("fails"):
        raise ValueError("as asked")
    while event.get("hangs"):
        pass
    caller = boto3.client("sts").get_caller_identity()["Account"]
    return {"greeting": os.environ["GREETING"] + event["name"], "account": caller}
"""


@pytest.fixture(scope="module")
def function(cloud: Addresses) -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", CODE)
    role = cloud.client("iam").create_role(RoleName="function-of-a-test", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    made = cloud.client("lambda").create_function(
        FunctionName="greets",
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Timeout=5,
        Code={"ZipFile": packed.getvalue()},
        Environment={"Variables": {"GREETING": "hello "}},
    )
    return str(made["FunctionArn"])


def invoked(cloud: Addresses, function: str, **event: Any) -> tuple[Any, str | None]:
    answer = cloud.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def test_it_answers_with_its_own_variables_and_calls_this_cloud(cloud: Addresses, function: str) -> None:
    for name in (function, "greets"):
        assert invoked(cloud, name, name="you") == ({"greeting": "hello you", "account": cloud.account}, None)


def test_what_it_raises_is_told_as_lambda_does(cloud: Addresses, function: str) -> None:
    said = {"errorMessage": "as asked", "errorType": "ValueError"}
    assert invoked(cloud, function, fails=True) == (said, "Unhandled")


def test_it_is_ended_when_its_time_is_up(cloud: Addresses, function: str) -> None:
    said, failed = invoked(cloud, function, hangs=True)
    assert (said["errorType"], failed) == ("Sandbox.Timedout", "Unhandled")


def test_a_function_that_is_not_there_is_not_found(cloud: Addresses) -> None:
    client = cloud.client("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Function not found: nobody"):
        client.invoke(FunctionName="nobody")
