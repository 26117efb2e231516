"""A database that was restored and is to take over, and one that is to be restored to the same moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.rds_point_in_time_restore import RdsPointInTimeRestore
from services.common.database import arguments
from tests.runbooks.bench import Bench
from tests.runbooks.environment import ACCOUNT, REGION, Environment
from tests.runbooks.faults import Fault
from tests.runbooks.instances import Instances
from tests.support.databases import PASSWORD, Databases

# Nobody listens there.
AWAY = "127.0.0.2"
MOMENT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
# What a person chose when the instance was made, and RDS would not choose by itself.
_CHOSEN: Mapping[str, Any] = {
    "AutoMinorVersionUpgrade": True,
    "BackupRetentionPeriod": 14,
    "CACertificateIdentifier": "rds-ca-rsa2048-g1",
    "CopyTagsToSnapshot": True,
    "DBParameterGroups": [{"DBParameterGroupName": "booking-tuned"}],
    "DBSubnetGroup": {"DBSubnetGroupName": "data"},
    "DeletionProtection": True,
    "EnabledCloudwatchLogsExports": ["postgresql", "upgrade"],
    "IAMDatabaseAuthenticationEnabled": True,
    "KmsKeyId": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/one",
    "MultiAZ": True,
    "PreferredBackupWindow": "01:00-02:00",
    "PubliclyAccessible": False,
    "StorageEncrypted": True,
    "StorageType": "gp3",
    "TagList": [{"Key": "Environment", "Value": "test"}, {"Key": "aws:backup:source", "Value": "of-no-use"}],
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-data", "Status": "active"}],
}
# What RDS takes when it is not told otherwise.
_DEFAULTS: Mapping[str, Any] = {
    "DBParameterGroupName": "default.postgres17",
    "DBSubnetGroupName": "default",
    "EnableIAMDatabaseAuthentication": False,
    "VpcSecurityGroupIds": ["sg-default"],
}


@dataclass
class Restores:
    """Instances with their automated backups, what was restored from them, and a proxy before one of them."""

    instances: Instances
    databases: Databases
    asked: list[dict[str, Any]] = field(default_factory=list)
    leads_to: list[str] = field(default_factory=list)
    forgets: tuple[str, ...] = ()
    status: str = "available"
    target_state: str = "AVAILABLE"

    def __post_init__(self) -> None:
        self.environment.answers |= {
            "rds:DescribeDBInstanceAutomatedBackups": self._backups,
            "rds:DescribeDBProxies": lambda _: {
                "DBProxies": [{"DBProxyName": "booking-proxy", "Endpoint": "the-proxy.invalid"}]
            },
            "rds:DescribeDBProxyTargets": self._targets,
            "rds:RestoreDBInstanceToPointInTime": self._restored,
            "rds:RegisterDBProxyTargets": self._registered,
            "rds:DeregisterDBProxyTargets": self._deregistered,
        }

    @property
    def environment(self) -> Environment:
        return self.instances.environment

    def create(self, service: str, *, address: str = AWAY, proxy: bool = False) -> str:
        """A database whose instance is at ``address``; returns its id. The server's own address is 127.0.0.1."""
        known = arguments(asyncio.run(self.databases.create(service)))
        owner = self.environment.secret(f"{service}-owner", {"username": "owner", "password": PASSWORD})
        instance = self.instances.create(
            service,
            **_CHOSEN,
            Endpoint={"Address": address, "Port": known["port"]},
            MasterUserSecret={"SecretArn": owner, "KmsKeyId": "a-key"},
        )
        login = {"username": known["user"], "password": PASSWORD, "host": "the-proxy.invalid" if proxy else address,
                 "instance": address, "port": str(known["port"]), "database": known["database"],
                 "owner": owner}  # fmt: skip
        arn = self.environment.secret(f"{service}-database", login)
        self.environment.write(databaseSecretArns={**self.environment.record["databaseSecretArns"], service: arn})
        if proxy:
            self.leads_to = [instance]
        return instance

    def login(self, service: str) -> dict[str, str]:
        arn = self.environment.record["databaseSecretArns"][service]
        found: dict[str, str] = json.loads(
            self.environment.aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        )
        return found

    def restored(self) -> list[str]:
        return [each["TargetDBInstanceIdentifier"] for each in self.asked]

    def restore(self, source: str, *, address: str = "127.0.0.1") -> str:
        """What an earlier run left: the restored instance, at ``address``; returns its id."""
        new = f"{source}-at-{MOMENT:%Y%m%d-%H%M%S}"
        self.instances.copy(source, new)
        self.instances.extra[new] = {
            **self.instances.extra[source],
            "MaxAllocatedStorage": self.instances.facts(source)["MaxAllocatedStorage"],
            "Endpoint": {"Address": address, "Port": 1},
            "MasterUserSecret": {"SecretArn": f"{new}-owner", "KmsKeyId": "a-key"},
        }
        return new

    def _backups(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        window = {"EarliestTime": MOMENT - timedelta(days=14), "LatestTime": datetime.now(UTC) - timedelta(minutes=5)}
        return {
            "DBInstanceAutomatedBackups": [
                {"DBInstanceIdentifier": asked["DBInstanceIdentifier"], "RestoreWindow": window}
            ]
        }

    def _restored(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """As RDS does: what is not said takes the default, and the key is that of the source."""
        said = {name: value for name, value in asked.items() if name not in self.forgets}
        self.asked.append(said)
        source, new = said.pop("SourceDBInstanceIdentifier"), said.pop("TargetDBInstanceIdentifier")
        self.instances.copy(source, new)
        taken = {**_DEFAULTS, **said}
        self.instances.extra[new] = {
            **{name: taken[name] for name in _CHOSEN if name in taken},
            "MaxAllocatedStorage": taken.get("MaxAllocatedStorage", 0),
            "DBInstanceClass": taken["DBInstanceClass"],
            "DBInstanceStatus": self.status,
            "DBParameterGroups": [{"DBParameterGroupName": taken["DBParameterGroupName"]}],
            "DBSubnetGroup": {"DBSubnetGroupName": taken["DBSubnetGroupName"]},
            "EnabledCloudwatchLogsExports": taken.get("EnableCloudwatchLogsExports", []),
            "Endpoint": {"Address": "127.0.0.1", "Port": 1},
            "IAMDatabaseAuthenticationEnabled": taken["EnableIAMDatabaseAuthentication"],
            "KmsKeyId": self.instances.facts(source)["KmsKeyId"],
            "StorageEncrypted": True,
            "VpcSecurityGroups": [{"VpcSecurityGroupId": each} for each in taken["VpcSecurityGroupIds"]],
        }
        self.asked[-1]["TargetDBInstanceIdentifier"] = new
        return {}

    def _targets(self, _: Mapping[str, Any]) -> dict[str, Any]:
        health = {"State": self.target_state}
        return {"Targets": [{"RdsResourceId": each, "TargetHealth": health} for each in self.leads_to]}

    def _registered(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        assert not self.leads_to, "a proxy has one target"
        self.leads_to = list(asked["DBInstanceIdentifiers"])
        return {}

    def _deregistered(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.leads_to = [each for each in self.leads_to if each not in asked["DBInstanceIdentifiers"]]
        return {}


@pytest.fixture
def restores(environment: Environment, databases: Databases) -> Restores:
    return Restores(Instances(environment), databases)


@pytest.fixture
def rds_point_in_time_restore(restores: Restores, tmp_path: Path) -> Fault:
    new = restores.restore(restores.create("booking", proxy=True))
    other = restores.create("payment")
    runbook = RdsPointInTimeRestore(
        service=["booking", "payment"], to=MOMENT.isoformat(), cut_over=["booking"], patience=0
    )

    def mended() -> bool:
        led = restores.leads_to == [new] and restores.login("booking")["instance"] == "127.0.0.1"
        return led and restores.restored() == [f"{other}-at-{MOMENT:%Y%m%d-%H%M%S}"]

    return Fault(
        Bench(runbook, restores.environment, tmp_path),
        state=lambda: (restores.leads_to, restores.login("booking"), restores.login("payment"), restores.restored()),
        mended=mended,
        secrets=(PASSWORD,),
    )
