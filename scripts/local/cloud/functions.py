"""Runs a Lambda function as it was deployed: its own package and variables, in a process of its own, on this machine.

When somebody waits for the answer (RequestResponse), and when a secret rotates; CloudWatch hears of each call. What the
function calls of AWS it calls of this cloud, and stores by the addresses that this cloud gave out.
"""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import boto3
from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import lambda_backends

from scripts.local.cloud.running import KEY

log = logging.getLogger(__name__)
# Reads the event, calls the handler, and says what Lambda would: its answer, or what it raised.
_BOOTSTRAP = """
import importlib, json, os, sys
module, _, name = sys.argv[1].rpartition(".")
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
try:
    done = {"payload": getattr(importlib.import_module(module), name)(json.load(sys.stdin), None)}
except Exception as error:
    done = {"error": {"errorMessage": str(error), "errorType": type(error).__name__}}
json.dump(done, answer)
"""


class NoFunction(LookupError):
    """There is no function of that name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function returned, as JSON; ``failed`` when it raised."""

    payload: str
    failed: bool


def run(name: str, event: str, *, account: str, region: str, endpoint: str) -> Answer:
    """Call ``name`` with ``event`` (JSON) and wait, as long as its timeout. Raises NoFunction."""
    answer = _ran(name, event, account, region, endpoint)
    if answer.failed:
        log.warning("%s: %s", name, answer.payload)
    count(_client(endpoint, region), name, failed=answer.failed)
    return answer


def count(cloudwatch: Any, name: str, *, failed: bool) -> None:
    """Tell CloudWatch of a call as Lambda does (Lambda Developer Guide, "Types of metrics for Lambda functions")."""
    of = {"Dimensions": [{"Name": "FunctionName", "Value": name}]}
    told = [{"MetricName": "Invocations", "Value": 1.0, **of}, {"MetricName": "Errors", "Value": float(failed), **of}]
    cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=told)


@cache
def _client(endpoint: str, region: str) -> Any:
    """Made once: reading what a service can do takes longer than telling it."""
    return boto3.client(
        "cloudwatch",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
    )


def _ran(name: str, event: str, account: str, region: str, endpoint: str) -> Answer:
    try:
        function: Any = lambda_backends[account][region].get_function(name)
    except UnknownFunctionException as error:
        raise NoFunction(f"Function not found: {name}") from error
    with TemporaryDirectory(prefix="function-") as folder:
        zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(folder)
        command = [sys.executable, "-c", _BOOTSTRAP, function.handler]
        try:
            done = subprocess.run(
                command,
                input=event,
                capture_output=True,
                text=True,
                cwd=folder,
                timeout=int(function.timeout),
                check=False,
                env=_variables(function.environment_vars or {}, folder, region, endpoint),
            )
        except subprocess.TimeoutExpired:
            return _failed("Sandbox.Timedout", f"Task timed out after {function.timeout} seconds")
    if done.returncode:
        return _failed("Runtime.ExitError", done.stderr[-2000:])
    said = json.loads(done.stdout)
    return Answer(json.dumps(said.get("error", said.get("payload"))), "error" in said)


def _failed(kind: str, message: str) -> Answer:
    return Answer(json.dumps({"errorType": kind, "errorMessage": message}), True)


def _variables(own: Mapping[str, str], folder: str, region: str, endpoint: str) -> dict[str, str]:
    """Nothing of this process's but what finds programs and says whom to trust."""
    kept = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE", "TMPDIR") if name in os.environ}
    account = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    login = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY}
    return {**kept, **account, **login, **own, "PYTHONPATH": folder}
