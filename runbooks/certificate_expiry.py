"""`python -m runbooks.certificate_expiry`: why a certificate is not renewed; the record that proves its name, again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from runbooks import _kit as kit

# CloudFront takes certificates of this Region alone.
_GLOBAL = "us-east-1"
# ACM leaves these out of a list that does not ask for them.
_KEYS = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
# ACM is one of these to authorities (ACM User Guide, "Configure a CAA record").
_AUTHORITIES = ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com")
# States in which ACM tries no more: a certificate of its own is wanted.
_OVER = ("EXPIRED", "FAILED", "REVOKED", "VALIDATION_TIMED_OUT")
# Days. A renewal takes hours once the record is there; with fewer left nobody waits for it.
_URGENT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The record with which ACM proves a name, and what our zone has in its place; no zone is an empty id."""

    name: str
    value: str
    zone: str
    found: str

    @property
    def missing(self) -> bool:
        return bool(self.zone) and self.found != self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate of the environment; ``forbids`` is a CAA record of our zone that leaves Amazon out."""

    region: str
    arn: str
    domain: str
    status: str
    days: int | None
    used: bool
    renewal: str
    proofs: Sequence[Proof]
    forbids: str

    @property
    def remedy(self) -> str:
        """What only a person can do; empty when nothing is, or when the record is what is wrong."""
        if self.status in _OVER or (self.days is not None and self.days < _URGENT):
            return "make a new one: pulumi up --replace"
        if strange := [each.name for each in self.proofs if not each.zone]:
            return f"no zone of this account holds {', '.join(strange)}: whoever runs it makes the record"
        if self.forbids:
            return f"{self.forbids} forbids Amazon: pulumi up makes the CAA record right"
        return "" if self.used else "nothing uses it, and ACM renews none such: attach it, or delete it"


@dataclass(frozen=True, slots=True)
class Found:
    """The environment's certificates; what ends in more than ``within`` days is well."""

    certificates: Sequence[Certificate]
    within: int

    @property
    def ill(self) -> list[Certificate]:
        return [each for each in self.certificates if each.days is None or each.days < self.within]

    def tables(self) -> list[kit.Table]:
        columns = ("domain", "region", "status", "days_left", "renewal", "for_a_person")
        rows = [
            (each.domain, each.region, each.status, each.days, each.renewal, each.remedy if each in self.ill else "")
            for each in self.certificates
        ]
        proofs = [
            (proof.name, proof.value, proof.found or None, "missing" if proof.missing else "there")
            for proof in _distinct(self.certificates)
        ]
        return [
            kit.Table("certificates", columns, rows),
            kit.Table("records that prove a name", ("record", "should_be", "is", "state"), proofs),
        ]


@dataclass(frozen=True, kw_only=True)
class CertificateExpiry(kit.Runbook[Found]):
    """Make the records again with which ACM proves the names of its certificates, and say what keeps it else.

    A record that is missing is made whether a certificate ends soon or not; ACM then renews by itself.
    """

    aws = frozenset(
        {
            *("acm:DescribeCertificate", "acm:ListCertificates", "acm:ListTagsForCertificate"),
            *("route53:ListHostedZonesByName", "route53:ListResourceRecordSets", "route53:ChangeResourceRecordSets"),
        }
    )

    within: Annotated[
        int, typer.Option(min=1, max=60, help="Days: what ends sooner should have been renewed by now.")
    ] = 30

    def check(self, target: kit.Target) -> Found:
        return Found(_certificates(target), self.within)

    def plan(self, findings: Found) -> list[kit.Action]:
        return [
            kit.Action(
                id=f"make {proof.name}",
                what=f"make the record {proof.name} lead to {proof.value}",
                before={"zone": proof.zone, "name": proof.name, "value": proof.found},
                after={"value": proof.value},
                no_undo="without it ACM renews nothing: nobody wants back what was there",
            )
            for proof in _distinct(findings.certificates)
            if proof.missing
        ]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        value = {"Value": action.after["value"]}
        record = {"Name": action.before["name"], "Type": "CNAME", "TTL": 300, "ResourceRecords": [value]}
        answer = target.client("route53").change_resource_record_sets(
            HostedZoneId=action.before["zone"],
            ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
        )
        return {"change": answer["ChangeInfo"]["Id"]}

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = self.check(target)
        missing = [proof.name for proof in _distinct(found.certificates) if proof.missing]
        return [
            kit.Check("every name can be proved", not missing, ", ".join(missing)),
            *(
                kit.Check(f"ACM renews {each.domain} in {each.region}", not each.remedy, each.remedy or each.renewal)
                for each in found.ill
            ),
        ]


def _distinct(certificates: Sequence[Certificate]) -> list[Proof]:
    """A name has one record, whatever the Region of its certificates."""
    return list({proof.name: proof for each in certificates for proof in each.proofs}.values())


def _certificates(target: kit.Target) -> list[Certificate]:
    zones = _Zones(target)
    mine = {"Key": "Environment", "Value": target.identity.environment}
    return [
        _certificate(zones, region, acm.describe_certificate(CertificateArn=each["CertificateArn"])["Certificate"])
        for region in sorted({_GLOBAL, target.identity.region})
        for acm in [target.client("acm", region)]
        for page in acm.get_paginator("list_certificates").paginate(Includes={"keyTypes": _KEYS})
        for each in page["CertificateSummaryList"]
        if mine in acm.list_tags_for_certificate(CertificateArn=each["CertificateArn"])["Tags"]
    ]


def _certificate(zones: _Zones, region: str, facts: Mapping[str, Any]) -> Certificate:
    renewal = facts.get("RenewalSummary", {})
    reasons = (renewal.get("RenewalStatus"), renewal.get("RenewalStatusReason"), facts.get("FailureReason"))
    options = renewal.get("DomainValidationOptions") or facts.get("DomainValidationOptions", [])
    return Certificate(
        region=region,
        arn=facts["CertificateArn"],
        domain=facts["DomainName"],
        status=facts["Status"],
        days=(facts["NotAfter"] - datetime.now(UTC)).days if "NotAfter" in facts else None,
        used=bool(facts.get("InUseBy")),
        renewal=", ".join(reason for reason in reasons if reason) or "not begun",
        proofs=[zones.proof(each["ResourceRecord"]) for each in options if "ResourceRecord" in each],
        forbids=zones.forbids(facts["DomainName"]),
    )


class _Zones:
    """The public zones of the account, in which records are looked for."""

    def __init__(self, target: kit.Target) -> None:
        self._route53 = target.client("route53")

    def proof(self, record: Mapping[str, str]) -> Proof:
        zone = self._holding(record["Name"])
        values = self._values(zone, record["Name"], record["Type"])
        return Proof(name=record["Name"], value=record["Value"], zone=zone, found=", ".join(values))

    def forbids(self, domain: str) -> str:
        values = self._values(self._holding(domain), domain, "CAA")
        issue = [value for value in values if " issue " in value]
        return "" if not issue or any(name in value for value in issue for name in _AUTHORITIES) else ", ".join(issue)

    def _holding(self, name: str) -> str:
        """The zone that answers for ``name``: the one with the longest name; empty when there is none."""
        labels = name.rstrip(".").split(".")
        for cut in range(len(labels)):
            zone = ".".join(labels[cut:]) + "."
            for each in self._route53.list_hosted_zones_by_name(DNSName=zone)["HostedZones"]:
                if each["Name"] == zone and not each["Config"].get("PrivateZone"):
                    return str(each["Id"].rpartition("/")[2])
        return ""

    def _values(self, zone: str, name: str, kind: str) -> list[str]:
        if not zone:
            return []
        asked = {"StartRecordName": name, "StartRecordType": kind, "MaxItems": "1"}
        answer = self._route53.list_resource_record_sets(HostedZoneId=zone, **asked)
        return [
            record["Value"]
            for each in answer["ResourceRecordSets"]
            if (each["Name"].rstrip("."), each["Type"]) == (name.rstrip("."), kind)
            for record in each.get("ResourceRecords", [])
        ]


app = kit.command(CertificateExpiry)
if __name__ == "__main__":
    app()
