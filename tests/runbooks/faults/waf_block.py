"""Two attackers that the firewall sees and does not refuse, and one whose time is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from runbooks.waf_block import WafBlock
from tests.runbooks.bench import Bench
from tests.runbooks.environment import Environment
from tests.runbooks.faults import Fault

ATTACKERS = ["81.2.69.142/32", "2a02:ffc0::/48"]
OVER, BY_HAND, FRIEND = "89.160.20.112/32", "216.160.83.56/32", "175.16.199.0/24"
_SEEN = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True}


@dataclass
class Firewall:
    """The web ACL of an environment with its four IP sets, in us-east-1."""

    environment: Environment
    waf: Any = field(init=False)
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        make: Any = boto3.client
        self.waf = make("wafv2", region_name="us-east-1")
        for role, inside in (("blocked", [OVER, BY_HAND]), ("allowed", [FRIEND])):
            for family, addresses in (("IPV4", inside), ("IPV6", [])):
                made = self.waf.create_ip_set(
                    Name=self.name(f"{role}-{family.lower()}"),
                    Scope="CLOUDFRONT",
                    IPAddressVersion=family,
                    Addresses=addresses,
                )
                self.ids[made["Summary"]["Name"]] = made["Summary"]["Id"]
        made = self.waf.create_web_acl(
            Name=self.name("firewall"),
            Scope="CLOUDFRONT",
            DefaultAction={"Allow": {}},
            VisibilityConfig={**_SEEN, "MetricName": "all"},
            Rules=[
                {
                    "Name": "rate-queue",
                    "Priority": 1,
                    "Statement": {"GeoMatchStatement": {"CountryCodes": ["GB"]}},
                    "VisibilityConfig": {**_SEEN, "MetricName": "rate-queue"},
                    "Action": {"Count": {}},
                }
            ],
        )
        self.environment.write(firewallArn=made["Summary"]["ARN"])
        # The simulated firewall sees no requests.
        self.environment.answers["wafv2:GetSampledRequests"] = self._sampled
        self.environment.aws("ssm").put_parameter(
            Name=f"/{self.environment.name}/runbooks/waf_block/until",
            Value=json.dumps({OVER: "2020-01-01T00:00:00+00:00"}),
            Type="String",
        )

    def name(self, role: str) -> str:
        return f"{self.environment.name}-firewall-{role}"

    def inside(self, role: str = "blocked") -> set[str]:
        """What both sets of ``role`` hold."""
        return {
            address
            for name, set_id in self.ids.items()
            if f"-{role}-" in name
            for address in self.waf.get_ip_set(Name=name, Scope="CLOUDFRONT", Id=set_id)["IPSet"]["Addresses"]
        }

    def put(self, role: str, addresses: list[str]) -> None:
        """What somebody else writes into a set."""
        named = {"Name": self.name(role), "Scope": "CLOUDFRONT", "Id": self.ids[self.name(role)]}
        token = self.waf.get_ip_set(**named)["LockToken"]
        self.waf.update_ip_set(**named, Addresses=addresses, LockToken=token)

    def until(self) -> dict[str, str]:
        value, _ = self.environment.parameters()[f"/{self.environment.name}/runbooks/waf_block/until"]
        found: dict[str, str] = json.loads(value)
        return found

    def _sampled(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        request = {"ClientIP": "81.2.69.142", "Country": "GB", "URI": "/queue", "Method": "GET"}
        seen = {"Request": request, "Weight": 3, "Action": "COUNT"}
        return {"SampledRequests": [seen, seen] if asked["RuleMetricName"] == "rate-queue" else []}


@pytest.fixture
def firewall(environment: Environment) -> Firewall:
    return Firewall(environment)


@pytest.fixture
def waf_block(environment: Environment, firewall: Firewall, tmp_path: Path) -> Fault:
    return Fault(
        Bench(WafBlock(address=list(ATTACKERS)), environment, tmp_path),
        state=lambda: (firewall.inside(), firewall.inside("allowed")),
        mended=lambda: firewall.inside() == {*ATTACKERS, BY_HAND} and firewall.until().keys() == set(ATTACKERS),
    )
