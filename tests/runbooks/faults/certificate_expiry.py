"""Certificates that ACM could not renew: one whose record is gone, one whose record is another, in both Regions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from runbooks.certificate_expiry import CertificateExpiry
from tests.runbooks.bench import Bench
from tests.runbooks.environment import REGION, Environment
from tests.runbooks.faults import Fault

GLOBAL = "us-east-1"
WAITS = {"RenewalStatus": "PENDING_VALIDATION", "DomainValidationOptions": [], "UpdatedAt": datetime.now(UTC)}


@dataclass
class Certificates:
    """Certificates and zones of the simulated cloud, with what it does not say of a renewal."""

    environment: Environment
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment.hooks["after-call.acm.DescribeCertificate"] = self._described
        self._route53 = self.environment.aws("route53")

    def domain(self, name: str, *, zone: bool = True) -> str:
        """A host name that no other test has, in a zone of its own."""
        domain = f"{name}.{self.environment.name}.example"
        if zone:
            made = self._route53.create_hosted_zone(Name=domain, CallerReference=domain)
            self.zones[domain] = made["HostedZone"]["Id"].rpartition("/")[2]
        return domain

    def create(
        self, domain: str, *, region: str = REGION, days: int = 20, owner: str = "", **facts: Any
    ) -> dict[str, str]:
        """A certificate in use that ends in ``days``; returns the record that proves it."""
        make: Any = boto3.client
        acm = make("acm", region_name=region)
        tags = [{"Key": "Environment", "Value": owner or self.environment.name}]
        arn = acm.request_certificate(DomainName=domain, ValidationMethod="DNS", Tags=tags)["CertificateArn"]
        self.facts[arn] = {
            "Status": "ISSUED",
            "InUseBy": ["a-balancer"],
            "NotAfter": datetime.now(UTC) + timedelta(days=days, hours=1),
            "RenewalSummary": WAITS,
            **facts,
        }
        [option] = acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"]
        record: dict[str, str] = option["ResourceRecord"]
        return record

    def record(self, domain: str, name: str, kind: str, value: str) -> None:
        """What somebody has written into the zone of ``domain``."""
        made = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
        self._route53.change_resource_record_sets(
            HostedZoneId=self.zones[domain],
            ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": made}]},
        )

    def records(self) -> dict[str, str]:
        """The records that prove names."""
        return {
            each["Name"]: each["ResourceRecords"][0]["Value"]
            for zone in self.zones.values()
            for each in self._route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
            if each["Type"] == "CNAME"
        }

    def _described(self, parsed: dict[str, Any], **_: Any) -> None:
        parsed["Certificate"] |= self.facts.get(parsed["Certificate"]["CertificateArn"], {})


@pytest.fixture
def certificates(environment: Environment) -> Certificates:
    made = Certificates(environment)
    made.create(made.domain("strange", zone=False), owner="another")
    return made


@pytest.fixture
def certificate_expiry(certificates: Certificates, tmp_path: Path) -> Fault:
    gone, other = certificates.domain("gone"), certificates.domain("other")
    wanted = [certificates.create(gone, region=GLOBAL), certificates.create(gone), certificates.create(other)]
    certificates.record(other, wanted[-1]["Name"], "CNAME", "something-else.example")
    return Fault(
        Bench(CertificateExpiry(), certificates.environment, tmp_path),
        state=certificates.records,
        mended=lambda: certificates.records() == {each["Name"]: each["Value"] for each in wanted},
    )
