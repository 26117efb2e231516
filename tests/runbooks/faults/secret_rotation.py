"""Logins of databases that have grown old; the functions' own code rotates them, as Lambda would."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from components.functions.rotation import Store
from components.functions.rotation_postgresql import PostgreSQL
from runbooks.secret_rotation import SecretRotation
from scripts.local.cloud.rotations import STEPS
from services.common.database import arguments
from tests.runbooks.bench import Bench
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault
from tests.support.databases import OWNER, PASSWORD, Databases, run
from tests.support.rotation import Rotation


class Scheduled(Rotation):
    """A rotation of a secret that has a schedule."""

    def describe_secret(self, **arguments: Any) -> dict[str, Any]:
        return {**super().describe_secret(**arguments), "RotationEnabled": True}


@dataclass
class Rotations:
    """What moto leaves out: it runs no function, and knows no schedule. ``stops_before`` is a step that fails, ``made``
    says when a version was made.
    """

    environment: Environment
    databases: Databases
    stops_before: str = ""
    rotated: dict[str, datetime] = field(default_factory=dict)
    made: dict[str, datetime] = field(default_factory=dict)
    scheduled: bool = True

    def asked(self, model: Any, params: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        if model.name != "RotateSecret":
            return None
        arn = json.loads(params["body"])["SecretId"]
        rotation = Scheduled(self.environment.aws("secretsmanager"), arn)
        store: Store = PostgreSQL(rotation)
        for step in STEPS:
            if step == self.stops_before:
                break
            rotation.step(step, store)
        else:
            self.rotated[arn] = datetime.now(UTC)
        return AWSResponse("", 200, HTTPHeaders(), None), {"ARN": arn, "VersionId": rotation.token}

    def answered(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if model.name == "DescribeSecret":
            parsed["RotationEnabled"] = self.scheduled
            parsed["LastRotatedDate"] = self.rotated.get(parsed["ARN"])
        if model.name == "ListSecretVersionIds":
            for version in parsed["Versions"]:
                version["CreatedDate"] = self.made.get(version["VersionId"], version["CreatedDate"])

    def database(self, service: str) -> str:
        """A database with a login of its own; returns the secret's name."""
        url = asyncio.run(self.databases.create(service))
        role = f"rotated_{uuid.uuid4().hex[:8]}"
        asyncio.run(run(self.databases.owner(service), f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"))
        known = arguments(url)
        owner = self.environment.secret(f"{service}-owner", {"username": f"{OWNER}_{service}", "password": PASSWORD})
        login = {"username": role, "password": PASSWORD, "host": known["host"], "port": str(known["port"]),
                 "database": known["database"], "owner": owner}  # fmt: skip
        arn = self.environment.secret(f"{service}-database", login)
        self.environment.write(databaseSecretArns={**self.environment.record["databaseSecretArns"], service: arn})
        self.made[self.current(f"{service}-database")] = self.rotated[arn] = datetime.now(UTC) - timedelta(days=90)
        return f"{service}-database"

    def stages(self, name: str) -> dict[str, list[str]]:
        found = self.environment.aws("secretsmanager").describe_secret(SecretId=f"{self.environment.name}/{name}")
        return {version: sorted(stages) for version, stages in found["VersionIdsToStages"].items() if stages}

    def current(self, name: str) -> str:
        return next(version for version, stages in self.stages(name).items() if "AWSCURRENT" in stages)

    def login(self, name: str) -> dict[str, str]:
        secrets = self.environment.aws("secretsmanager")
        found = secrets.get_secret_value(SecretId=f"{self.environment.name}/{name}", VersionStage="AWSCURRENT")
        login: dict[str, str] = json.loads(found["SecretString"])
        return login


@pytest.fixture
def rotations(environment: Environment, databases: Databases) -> Rotations:
    made = Rotations(environment, databases)
    environment.hooks["before-call"] = made.asked
    environment.hooks["after-call"] = made.answered
    return made


@pytest.fixture
def secret_rotation(rotations: Rotations, tmp_path: Path) -> Fault:
    names = [rotations.database(service) for service in ("booking", "payment")]
    old = {name: rotations.current(name) for name in names}
    return Fault(
        Bench(SecretRotation(secret=names, patience=5), rotations.environment, tmp_path),
        state=lambda: [rotations.stages(name) for name in names],
        mended=lambda: all(rotations.current(name) != before for name, before in old.items()),
        secrets=(PASSWORD,),
    )
