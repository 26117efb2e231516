"""What AWS offers, as far as this platform relies on it: no simulation knows, so it is written down and dated.

Arguments of components are checked against these tables at preview; what is not in them is refused with what is. When
AWS changes, this file changes, with its source and the date on which it was read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

CHECKED = date(2026, 11, 24)
_VERSION = re.compile(r"^(?:(?P<running>[0-9.]+) -> )?(?P<wanted>[0-9.]+)$")


@dataclass(frozen=True, slots=True)
class Release:
    """A version of an engine: what can be upgraded to it in place, in one step, and until when AWS supports it."""

    upgrades_from: tuple[str, ...] = ()
    standard_support_until: date | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A version that an environment wants, and the one it runs when that differs."""

    wanted: str
    running: str | None = None

    @property
    def upgrading(self) -> bool:
        return self.running is not None


@dataclass(frozen=True, slots=True)
class Engine:
    """The versions of one engine on one AWS service."""

    name: str
    source: str
    releases: Mapping[str, Release]

    def version(self, text: str) -> Version:
        """Read ``17``, or ``16 -> 17`` for an upgrade. Raises ValueError for what AWS does not offer."""
        found = _VERSION.match(text)
        if found is None:
            raise ValueError(
                f"{self.name} version is {text!r}; write the version, like {self._offered()[-1]!r}, or an upgrade, "
                f"like '{self._offered()[0]} -> {self._offered()[-1]}'"
            )
        version = Version(wanted=found["wanted"], running=found["running"])
        release = self.releases.get(version.wanted)
        if release is None:
            raise ValueError(
                f"{self.name} version {version.wanted!r} is not offered here; choose from {', '.join(self._offered())} "
                f"({self.source}, read {CHECKED})"
            )
        if version.running is not None:
            self.check_upgrade(version.running, version.wanted)
        return version

    def check_upgrade(self, running: str, wanted: str) -> None:
        """Raise ValueError unless ``running`` becomes ``wanted`` in place and in one step."""
        release = self.releases.get(wanted)
        sources = release.upgrades_from if release else ()
        if running not in sources:
            remedy = (
                f"go through {' or '.join(sources)} first" if sources else "make a new one beside it and move the data"
            )
            raise ValueError(
                f"{self.name} cannot be upgraded from {running} to {wanted} in one step: {remedy} "
                f"({self.source}, read {CHECKED})"
            )

    def _offered(self) -> Sequence[str]:
        return list(self.releases)


POSTGRESQL = Engine(
    name="PostgreSQL",
    source="RDS User Guide, 'Choosing a major version for an RDS for PostgreSQL upgrade'",
    releases={
        # A major version can be skipped on the way up; the dates are those of RDS's release calendar.
        "15": Release(("13", "14"), date(2028, 2, 29)),
        "16": Release(("13", "14", "15"), date(2029, 2, 28)),
        "17": Release(("13", "14", "15", "16"), date(2030, 2, 28)),
    },
)
RABBITMQ = Engine(
    name="RabbitMQ",
    source="Amazon MQ Developer Guide, 'RabbitMQ 4' and 'Managing engine versions'",
    # 4.2 comes on the m7g instances alone, and no broker becomes one in place.
    releases={"3.13": Release(("3.12",)), "4.2": Release()},
)
VALKEY = Engine(
    name="Valkey",
    source="ElastiCache User Guide, 'Upgrading engine versions'",
    releases={"7.2": Release(), "8.0": Release(("7.2",)), "8.1": Release(("7.2", "8.0"))},
)
KUBERNETES = Engine(
    name="Kubernetes",
    source="EKS User Guide, 'Understand the Kubernetes version lifecycle on EKS'",
    # One minor version at a time.
    releases={
        "1.33": Release(("1.32",), date(2026, 7, 29)),
        "1.34": Release(("1.33",), date(2026, 12, 2)),
        "1.35": Release(("1.34",), date(2027, 3, 27)),
    },
)


@dataclass(frozen=True, slots=True)
class Class:
    """An instance class: its memory in GiB, and whether it is sold for clusters over several zones."""

    memory_gib: float
    clusters: bool = True


@dataclass(frozen=True, slots=True)
class Classes:
    """The instance classes of one service that this platform uses."""

    setting: str
    source: str
    known: Mapping[str, Class]

    def find(self, name: str) -> Class:
        """The class called ``name``. Raises ValueError for one that is not in the table."""
        if name not in self.known:
            raise ValueError(
                f"{self.setting} is {name!r}; choose from {', '.join(self.known)}, or add it with its memory to "
                f"components/aws_facts.py ({self.source}, read {CHECKED})"
            )
        return self.known[name]


DATABASE_CLASSES = Classes(
    "instance_class",
    "RDS User Guide, 'DB instance class types'",
    {
        "db.t4g.micro": Class(1),
        "db.t4g.small": Class(2),
        "db.t4g.medium": Class(4),
        "db.m7g.large": Class(8),
        "db.r7g.large": Class(16),
        "db.r7g.xlarge": Class(32),
    },
)
BROKER_CLASSES = Classes(
    "instance_type",
    "Amazon MQ Developer Guide, 'Amazon MQ for RabbitMQ instance types'",
    {
        "mq.m7g.medium": Class(4, clusters=False),
        "mq.m7g.large": Class(8),
        "mq.m7g.xlarge": Class(16),
        "mq.m7g.2xlarge": Class(32),
    },
)
CACHE_CLASSES = Classes(
    "node_type",
    "ElastiCache User Guide, 'Supported node types'",
    {
        "cache.t4g.micro": Class(0.5),
        "cache.t4g.small": Class(1.37),
        "cache.t4g.medium": Class(3.09),
        "cache.m7g.large": Class(6.38),
        "cache.r7g.large": Class(13.07),
    },
)

# Parameters of RDS for PostgreSQL that components set: name → the values that RDS takes (RDS User Guide, "Parameters on
# RDS for PostgreSQL"); the second item says whether a change waits for a restart.
POSTGRESQL_PARAMETERS: Mapping[str, tuple[str, bool]] = {
    "rds.force_ssl": ("0|1", False),
    "rds.logical_replication": ("0|1", True),
    "log_min_duration_statement": (r"-1|\d+", False),
    "log_connections": ("0|1", False),
    "log_disconnections": ("0|1", False),
    "idle_in_transaction_session_timeout": (r"\d+", False),
}

# Regions where the platform may run or recover, with their zones (EC2 User Guide, "Regions and Zones"). Each offers all
# that the components make (AWS Regional Services list); one that lacks a service must not be added.
REGIONS: Mapping[str, tuple[str, ...]] = {
    "eu-west-1": ("eu-west-1a", "eu-west-1b", "eu-west-1c"),
    "eu-west-3": ("eu-west-3a", "eu-west-3b", "eu-west-3c"),
    "eu-central-1": ("eu-central-1a", "eu-central-1b", "eu-central-1c"),
}


def check_region(setting: str, region: str, *, zones: Sequence[str] = ()) -> None:
    """Raise ValueError unless the platform can run in ``region`` and it has ``zones``."""
    if region not in REGIONS:
        raise ValueError(
            f"{setting} is {region!r}; choose from {', '.join(REGIONS)}, or add it with its zones to "
            f"components/aws_facts.py (AWS Regional Services list, read {CHECKED})"
        )
    if strangers := [zone for zone in zones if zone not in REGIONS[region]]:
        raise ValueError(
            f"zones {', '.join(strangers)} are not in {region}, which has {', '.join(REGIONS[region])}: "
            "set network.zones"
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of an account as AWS first grants it; Service Quotas raises those that are ``adjustable``."""

    name: str
    limit: int
    adjustable: bool = True


# What an environment takes much of (Service Quotas, defaults). tests/conformance counts production against them.
QUOTAS: Mapping[str, Quota] = {
    "aws:ec2/vpc:Vpc": Quota("VPCs per Region", 5),
    "aws:ec2/eip:Eip": Quota("EC2-VPC Elastic IPs", 5),
    "aws:ec2/natGateway:NatGateway": Quota("NAT gateways per Availability Zone", 5),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Quota("Interface VPC endpoints per VPC", 50),
    "aws:rds/instance:Instance": Quota("DB instances", 40),
    "aws:mq/broker:Broker": Quota("Brokers per Region", 20),
    "aws:kms/key:Key": Quota("KMS keys per Region", 100_000),
    "aws:s3/bucket:Bucket": Quota("General purpose buckets", 10_000),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Quota("CloudWatch alarms per Region", 5000),
    "aws:iam/role:Role": Quota("Roles per account", 1000),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Quota("OpenID Connect providers per account", 100),
    "aws:lambda/function:Function": Quota("Concurrent executions", 1000),
    "aws:cloudfront/distribution:Distribution": Quota("Distributions per account", 200),
    "aws:wafv2/webAcl:WebAcl": Quota("Web ACLs per Region", 100),
}

# Certificates, web ACLs, logs and metrics of CloudFront are there alone (CloudFront Developer Guide).
CLOUDFRONT_REGION = "us-east-1"
# AWS WAF Developer Guide: capacity units of AWS's rule groups ("AWS Managed Rules rule groups list") and of statements
# ("Using match rule statements", "String match rule statement", "Using rate-based rule statements").
WAF_GROUPS: Mapping[str, int] = {
    "AWSManagedRulesCommonRuleSet": 700,
    "AWSManagedRulesKnownBadInputsRuleSet": 200,
    "AWSManagedRulesSQLiRuleSet": 200,
    "AWSManagedRulesAmazonIpReputationList": 25,
    "AWSManagedRulesAnonymousIpList": 50,
}
WAF_MATCHES = {"EXACTLY": 2, "STARTS_WITH": 2, "ENDS_WITH": 2, "CONTAINS": 10, "CONTAINS_WORD": 10}
WAF_TRANSFORMATION, WAF_LOOKUP, WAF_RATE, WAF_RATE_KEY = 10, 1, 2, 30
# What the price of a web ACL includes, and the most of one ("Web ACL capacity units (WCUs)").
WAF_INCLUDED, WAF_MOST = 1500, 5000
