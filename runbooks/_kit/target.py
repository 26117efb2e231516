"""The environment that a runbook works on: found by its name alone, and proved to be the one that is meant.

The stack writes down what operations need to know in the parameter ``/ENVIRONMENT/operations`` (stacks/outputs.py). The
AWS SDK finds AWS, or the local platform, by its own variables (AWS_ENDPOINT_URL): nothing here knows the difference.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from runbooks._kit.model import Refused

# Of a login's secret, what anybody may read; every other value is masked wherever it turns up.
_PLAIN = frozenset({"address", "administrator", "bundle", "database", "host", "instance", "management", "owner", "port",
                    "username"})  # fmt: skip
_MASK = "***"
Seen = TypeVar("Seen")
# IAM actions that the kit itself needs, for whatever runbook.
AWS = frozenset(
    {
        *("sts:GetCallerIdentity", "secretsmanager:GetSecretValue"),
        *("ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter"),
        *("cloudwatch:DescribeAlarms", "cloudwatch:PutAlarmMuteRule", "cloudwatch:DeleteAlarmMuteRule"),
        # Alertmanager is in the cluster.
        "eks:DescribeCluster",
    }
)


class Operations(BaseModel):
    """What the stack wrote down: the contract is stacks/outputs.py, where each is explained."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore")

    account: str
    environment: str
    region: str
    cluster_name: str
    namespace: str
    state_machine_arn: str
    queue_urls: dict[str, str]
    dead_letter_urls: dict[str, str]
    database_ids: dict[str, str]
    database_secret_arns: dict[str, str]
    broker_secret_arns: dict[str, str]
    cache_secret_arns: dict[str, str]
    authorities_secret_arn: str
    canaries: dict[str, dict[str, str]]
    firewall_arn: str
    tenants_function: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who works where; a plan made as one is refused as another."""

    account: str
    region: str
    environment: str
    who: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Everything but the person."""
        return self.account, self.region, self.environment


class Target:
    """An environment and the ways into it: clients of AWS, logins, trust."""

    def __init__(self, session: Any, identity: Identity, operations: Operations) -> None:
        self._session, self.identity, self.operations = session, identity, operations
        self._clients: dict[tuple[str, str | None, float | None], Any] = {}
        self._hidden: set[str] = set()

    @classmethod
    def open(cls, session: Any, environment: str, *, account: str | None = None) -> Target:
        """Find ``environment`` where ``session``, boto3's, leads. Raises Refused unless all is as said."""
        found = session.client("sts").get_caller_identity()
        if account is not None and found["Account"] != account:
            raise Refused(
                f"the credentials are of account {found['Account']}, --account says {account}: choose another profile"
            )
        operations = _operations(session, environment, found["Account"])
        identity = Identity(found["Account"], session.region_name or "", environment, found["Arn"])
        recorded = (operations.account, operations.region, operations.environment)
        if recorded != identity.place:
            raise Refused(
                f"/{environment}/operations is of {' '.join(recorded)}, and this is {' '.join(identity.place)} "
                "(account, Region, environment): set AWS_PROFILE, AWS_REGION and --environment to the one that you mean"
            )
        return cls(session, identity, operations)

    def client(self, service: str, region: str | None = None, *, answers_within: float | None = None) -> Any:
        """A boto3 client, made once; of another Region than the environment's for what is global.

        ``answers_within`` are seconds, for what may take longer than the minute after which the SDK asks again.
        """
        wanted = service, region, answers_within
        if wanted not in self._clients:
            config = Config(read_timeout=answers_within) if answers_within else None
            self._clients[wanted] = self._session.client(service, region_name=region, config=config)
        return self._clients[wanted]

    def secret(self, secret_id: str, stage: str = "AWSCURRENT") -> dict[str, str]:
        """A secret's JSON; its secret values are from now on masked wherever the kit writes."""
        found = self.client("secretsmanager").get_secret_value(SecretId=secret_id, VersionStage=stage)
        value: dict[str, str] = json.loads(found["SecretString"])
        self._hidden |= {text for key, text in value.items() if key not in _PLAIN and text}
        return value

    def masked(self, text: str) -> str:
        """``text`` without any secret that was read."""
        for hidden in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(hidden, _MASK)
        return text

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """TLS that is verified: against what the machine trusts, and the authority of the databases."""
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self.secret(self.operations.authorities_secret_arn)["bundle"])
        return context


def until(condition: Callable[[], bool], *, seconds: float, every: float = 0.5) -> bool:
    """Wait until ``condition`` holds; whether it did within ``seconds``."""
    return settled(condition, bool, seconds=seconds, every=every)


def settled(look: Callable[[], Seen], well: Callable[[Seen], bool], *, seconds: float, every: float) -> Seen:
    """Look until what is seen is ``well``, or ``seconds`` are over; returns what was seen last."""
    deadline = time.monotonic() + seconds
    while not well(seen := look()) and time.monotonic() < deadline:
        time.sleep(every)
    return seen


def _operations(session: Any, environment: str, account: str) -> Operations:
    name = f"/{environment}/operations"
    try:
        text = session.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        raise Refused(
            f"account {account} has no parameter {name} in {session.region_name}, so no environment {environment!r}: "
            "choose another profile, AWS_REGION or --environment"
        ) from error
    try:
        return Operations.model_validate_json(text)
    except ValidationError as error:
        missing = ", ".join(str(each["loc"][0]) for each in error.errors() if each["loc"])
        raise Refused(
            f"{name} lacks {missing}: bring the stack up to this checkout, or take the one it was made from"
        ) from error
