"""An environment as a runbook finds it: a simulated AWS, its record of operations, and logins to real servers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.validate import validate_parameters

from runbooks._kit.target import Target

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
# Where the name of an action is not that of the signature.
_PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag"}
# An operation that needs an action of another name (Service Authorization Reference).
_ACTIONS = {"lambda:Invoke": "lambda:InvokeFunction"}
ACCOUNT, REGION = "123456789012", "eu-west-3"


@dataclass
class Environment:
    """One environment, whose name no other test has; boto3's own variables lead to it (`aws_server`).

    ``record`` is what its stack wrote down.
    """

    bundle: Path
    name: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")
    record: dict[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    """IAM actions that were needed on behalf of a target."""
    hooks: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """By botocore's event: what stands in for AWS where moto does nothing."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """What answers an operation (`rds:RebootDBInstance`) that the simulated AWS lacks, from its parameters; botocore
    holds both to AWS's own model."""

    mutes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Mute rules of alarms, by name."""

    def __post_init__(self) -> None:
        self.answers |= {
            "cloudwatch:PutAlarmMuteRule": lambda asked: self.mutes.update({asked["Name"]: asked}) or {},
            "cloudwatch:DeleteAlarmMuteRule": lambda asked: self.mutes.pop(asked["AlarmMuteRuleName"], {}) and {},
        }
        self.record = {
            "account": ACCOUNT,
            "environment": self.name,
            "region": REGION,
            "clusterName": f"{self.name}-cluster",
            "namespace": "platform",
            "stateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:saga",
            "queueUrls": {},
            "deadLetterUrls": {},
            "databaseIds": {},
            "databaseSecretArns": {},
            "brokerSecretArns": {},
            "cacheSecretArns": {},
            "canaries": {},
            "firewallArn": f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/{self.name}/none",
            "authoritiesSecretArn": self.secret("database-authorities", {"bundle": self.bundle.read_text()}),
        }
        self.write()

    def aws(self, service: str) -> Any:
        make: Any = boto3.client
        return make(service, region_name=REGION)

    def target(self, *, region: str = REGION, account: str | None = None) -> Target:
        session: Any = boto3.Session(region_name=region)
        session.events.register("before-parameter-build", self._given)
        session.events.register("before-call", self._asked)
        for event, hook in self.hooks.items():
            session.events.register(event, hook)
        return Target.open(session, self.name, account=account)

    def _given(self, params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["given"] = params

    def _asked(self, model: Any, context: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        prefix = model.service_model.signing_name
        prefix = _PREFIXES.get(prefix, prefix)
        # A batch needs the action of what is in it (SQS Developer Guide, "SQS API permissions").
        action = f"{prefix}:{model.name.removesuffix('Batch')}"
        self.asked.add(_ACTIONS.get(action, action))
        if (answer := self.answers.get(f"{prefix}:{model.name}")) is None:
            return None
        given = dict(answer(context["given"]))
        if model.output_shape:
            validate_parameters(given, model.output_shape)
        return AWSResponse("", 200, HTTPHeaders(), None), given

    def write(self, **changes: Any) -> None:
        """Write the record, as an update of the stack does."""
        self.record |= changes
        self.aws("ssm").put_parameter(
            Name=f"/{self.name}/operations", Value=json.dumps(self.record), Type="String", Overwrite=True
        )

    def alarm(self, runbook: str) -> str:
        """An alarm that leads to ``runbook``; returns its name."""
        name = f"{self.name}-{runbook}"
        self.aws("cloudwatch").put_metric_alarm(
            AlarmName=name,
            AlarmDescription=f"It rings. Runbook: runbooks/{runbook}.md",
            Namespace="AWS/SQS",
            MetricName="ApproximateNumberOfMessagesVisible",
            Period=60,
            Statistic="Maximum",
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        return name

    def end(self) -> None:
        """Remove its alarms, of which AWS shows everybody's at once."""
        cloudwatch = self.aws("cloudwatch")
        mine = cloudwatch.describe_alarms(AlarmNamePrefix=self.name)["MetricAlarms"]
        cloudwatch.delete_alarms(AlarmNames=[each["AlarmName"] for each in mine])

    def secret(self, name: str, value: Mapping[str, str]) -> str:
        """A secret of the environment; returns its ARN."""
        made = self.aws("secretsmanager").create_secret(Name=f"{self.name}/{name}", SecretString=json.dumps(value))
        return str(made["ARN"])

    def database(self, service: str, url: Mapping[str, Any]) -> None:
        """Make a database known; ``url`` are the arguments with which asyncpg connects."""
        arn = self.secret(f"{service}-database", _login(url))
        self.write(databaseSecretArns={**self.record["databaseSecretArns"], service: arn})

    def next_login(self, service: str, url: Mapping[str, Any]) -> None:
        """What a rotation leaves: another login is current, the one before is the previous."""
        arn = self.record["databaseSecretArns"][service]
        self.aws("secretsmanager").put_secret_value(SecretId=arn, SecretString=json.dumps(_login(url)))

    def broker(self, management: str, url: str) -> None:
        """Make the broker known; ``url`` is the administrator's."""
        parts = urlsplit(url)
        login = {"username": str(parts.username), "password": str(parts.password), "management": management}
        user = {"username": "notification", "password": "of-no-use", "address": f"{parts.hostname}:{parts.port}"}
        self.write(
            brokerSecretArns={
                "administrator": self.secret("broker-administrator", login),
                "notification": self.secret("broker-notification", user),
            }
        )

    def queue(self, service: str) -> tuple[str, str]:
        """A queue of commands and that of its dead letters; returns their URLs."""
        sqs = self.aws("sqs")
        urls = [
            sqs.create_queue(QueueName=f"{self.name}-{service}{part}")["QueueUrl"] for part in ("", "-dead-letters")
        ]
        self.write(
            queueUrls={**self.record["queueUrls"], service: urls[0]},
            deadLetterUrls={**self.record["deadLetterUrls"], service: urls[1]},
        )
        return urls[0], urls[1]

    def parameters(self) -> dict[str, tuple[str, int]]:
        """Every parameter of the environment, with its version."""
        found = self.aws("ssm").get_parameters_by_path(Path=f"/{self.name}", Recursive=True)["Parameters"]
        return {each["Name"]: (each["Value"], each["Version"]) for each in found}


def _login(url: Mapping[str, Any]) -> dict[str, str]:
    return {
        "username": url["user"],
        "password": url["password"],
        # Runbooks look past the proxy.
        "host": "the-proxy.invalid",
        "instance": url["host"],
        "port": str(url["port"]),
        "database": url["database"],
    }
