"""Certificates of one name in several Regions, proved by DNS once and renewed by ACM while the record is there.

The record is the same for every certificate of a name in an account (ACM User Guide, "DNS validation"), so it is made
once. It refuses a name that is no host name, and a wildcard: whoever holds that key could speak for every host. Where
previews are guests (``guests``), the hosts right below the name are theirs, and the certificate is for these, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import acm, route53

from components.alarm import alarm
from components.context import Context
from components.severity import Severity

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{4,253}}$){_LABEL}(?:\.{_LABEL})+")
# ACM renews 60 days before the end; at 30 it has failed for a month (ACM User Guide, "Managed certificate renewal").
_DAYS_LEFT = 30
_DAY = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateArgs:
    """``regions`` are where it is needed, besides contexts with a topic there; None is the environment's own."""

    domain: str
    zone_id: pulumi.Input[str]
    regions: Sequence[tuple[str | None, Context]]
    guests: bool = False

    def __post_init__(self) -> None:
        check_host(self.domain)


def check_host(domain: str) -> None:
    """Raise ValueError unless ``domain`` is the name of one host."""
    if not HOST.fullmatch(domain):
        raise ValueError(
            f"domain is {domain!r}; it must be the name of one host in small letters, without a wildcard, like "
            "tickets.example.com: set edge.domain"
        )


def hosts(domain: str, guests: bool) -> list[str]:
    """``domain``, and with ``guests`` every host right below it."""
    return [domain, f"*.{domain}"] if guests else [domain]


class Certificate(pulumi.ComponentResource):
    """One certificate for each Region, the record that proves the name, and an alarm on each that runs out."""

    arns: dict[str | None, pulumi.Output[str]]
    """By Region, once the certificate is issued."""

    def __init__(
        self, name: str, args: CertificateArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:edge:Certificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        record: route53.Record | None = None
        self.arns = {}
        for region, there in args.regions:
            place = f"{name}-{region or 'home'}"
            certificate = acm.Certificate(
                place,
                domain_name=args.domain,
                # Proved by the same record as the name itself.
                subject_alternative_names=hosts(args.domain, args.guests)[1:] or None,
                validation_method="DNS",
                key_algorithm="EC_prime256v1",
                region=region,
                tags=context.tags(name),
                opts=child,
            )
            if record is None:
                option = certificate.domain_validation_options[0]
                record = route53.Record(
                    name,
                    zone_id=args.zone_id,
                    name=option.resource_record_name.apply(str),
                    type=option.resource_record_type.apply(str),
                    records=[option.resource_record_value.apply(str)],
                    ttl=300,
                    opts=child,
                )
            issued = acm.CertificateValidation(
                place,
                certificate_arn=certificate.arn,
                validation_record_fqdns=[record.fqdn] if region == args.regions[0][0] else None,
                region=region,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[record]),
            )
            self.arns[region] = issued.certificate_arn
            alarm(
                f"{place}-expiry",
                context=there,
                says=f"The certificate of {args.domain} ends in less than {_DAYS_LEFT} days: ACM could not renew it.",
                runbook="certificate_expiry",
                namespace="AWS/CertificateManager",
                metric="DaysToExpiry",
                dimensions={"CertificateArn": certificate.arn},
                statistic="Minimum",
                period=_DAY,
                periods=1,
                below=_DAYS_LEFT,
                severity=Severity.TICKET,
                region=region,
                opts=child,
            )
        self.register_outputs({})
