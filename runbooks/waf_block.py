"""`python -m runbooks.waf_block`: who the firewall sees; addresses that are refused for a while, and no longer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from runbooks import _kit as kit

Network = IPv4Network | IPv6Network

# Whatever is of CloudFront is there (AWS WAF Developer Guide, "How AWS WAF works with Amazon CloudFront features").
_REGION, _SCOPE = "us-east-1", "CLOUDFRONT"
# What is wider hits a carrier or a country, so buyers.
_WIDEST = {4: 16, 6: 32}
# Where CloudFront's own requests come from (Amazon VPC User Guide, "AWS-managed prefix lists").
_CLOUDFRONT = ("com.amazonaws.global.cloudfront.origin-facing", "com.amazonaws.global.ipv6.cloudfront.origin-facing")
# A parameter holds 4 KB: sixty characters for an IPv6 network and its end.
_MOST = 60
# Others write to the sets too.
_ATTEMPTS = 5
# The most that GetSampledRequests gives for a rule, and how many addresses a person reads.
_SAMPLES, _SHOWN = 500, 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A network that is refused, in the IP set of this name; ``until`` is empty for what a person put there."""

    address: str
    ip_set: str
    until: str

    @property
    def over(self) -> bool:
        return bool(self.until) and datetime.fromisoformat(self.until) <= datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """Who the firewall sampled, what is refused, and which networks are to be refused in which set."""

    sampled: Sequence[Sequence[Any]]
    refused: Sequence[Entry]
    wanted: Mapping[str, str]

    def tables(self) -> list[kit.Table]:
        rows = [(each.address, each.until or "taken out by hand", "over" if each.over else "") for each in self.refused]
        return [
            kit.Table("sampled requests", ("address", "country", "rule", "action", "weight"), self.sampled),
            kit.Table("refused addresses", ("address", "until", "state"), rows),
        ]


@dataclass(frozen=True, kw_only=True)
class WafBlock(kit.Runbook[Found]):
    """Refuse addresses at the firewall for a while, and take out those whose time is over.

    Until when is in a parameter beside the lock: an IP set knows no time, and its description is too short.
    """

    aws = frozenset(
        {
            *("wafv2:GetIPSet", "wafv2:GetSampledRequests", "wafv2:GetWebACL", "wafv2:ListIPSets"),
            *("wafv2:UpdateIPSet", "ec2:DescribeManagedPrefixLists", "ec2:GetManagedPrefixListEntries"),
        }
    )
    cap = 20

    address: Annotated[
        list[str], typer.Option(help="An address or a network (CIDR) to be refused; may be repeated.")
    ] = field(default_factory=list)
    minutes_refused: Annotated[
        int, typer.Option("--minutes", min=5, max=7 * 24 * 60, help="How long it is refused.")
    ] = 60
    looking_back: Annotated[int, typer.Option(min=1, max=180, help="Minutes of sampled requests that are shown.")] = 15

    def check(self, target: kit.Target) -> Found:
        wanted = [_network(each) for each in self.address]
        _not_ours(target, wanted)
        sets = _Sets(target)
        until = _Until(target)
        times = until.read()
        refused = [
            Entry(address, name, times.pop(address, "")) for name in sets.blocked for address in sets.addresses(name)
        ]
        # Written down and in no set: a run that was cut short, or somebody was faster.
        refused += [Entry(address, _set_name(target, "blocked", address), end) for address, end in times.items()]
        inside = {each.address for each in refused if each.address not in times}
        if len([each for each in refused if each.until]) + len(wanted) > _MOST:
            raise kit.Refused(
                f"more than {_MOST} addresses would be refused for a while: use a rule by rate or country"
            )
        return Found(
            sampled=_sampled(target, self.looking_back),
            refused=sorted(refused, key=lambda each: each.address),
            wanted={str(each): _set_name(target, "blocked", str(each)) for each in wanted if str(each) not in inside},
        )

    def plan(self, findings: Found) -> list[kit.Action]:
        blocks = [
            kit.Action(
                id=f"refuse {address}",
                what=f"refuse {address} for {self.minutes_refused} minutes",
                before={"address": address, "set": name, "refused": False},
                after={"minutes": self.minutes_refused},
            )
            for address, name in findings.wanted.items()
        ]
        over = [
            kit.Action(
                id=f"let {each.address} in, refused until {each.until}",
                what=f"let {each.address} in again: it was refused until {each.until}",
                before={"address": each.address, "set": each.ip_set, "refused": True, "until": each.until},
                after={"refused": False},
            )
            for each in findings.refused
            if each.over and each.address not in findings.wanted
        ]
        return [*blocks, *over]

    def do(self, target: kit.Target, action: kit.Action) -> Mapping[str, Any]:
        if action.before["refused"]:
            self._let_in(target, action)
            return {}
        until = datetime.now(UTC) + timedelta(minutes=self.minutes_refused)
        return self._refuse(target, action, until.isoformat(timespec="seconds"))

    def undo(self, target: kit.Target, action: kit.Action, result: Mapping[str, Any], snapshot: Any) -> None:
        if action.before["refused"]:
            self._refuse(target, action, action.before["until"])
        else:
            self._let_in(target, action)

    def verify(self, target: kit.Target) -> list[kit.Check]:
        found = self.check(target)
        over = ", ".join(each.address for each in found.refused if each.over)
        missing = ", ".join(found.wanted)
        return [
            kit.Check("every address is refused", not missing, missing),
            kit.Check("none is refused beyond its time", not over, over),
        ]

    def _refuse(self, target: kit.Target, action: kit.Action, until: str) -> dict[str, Any]:
        """Its end is written down first: an address whose end nobody knows would stay for ever."""
        address = action.before["address"]
        _Until(target).write(lambda times: times | {address: until})
        _Sets(target).change(action.before["set"], lambda inside: inside | {address})
        return {"until": until}

    def _let_in(self, target: kit.Target, action: kit.Action) -> None:
        address = action.before["address"]
        _Sets(target).change(action.before["set"], lambda inside: inside - {address})
        _Until(target).write(lambda times: {each: end for each, end in times.items() if each != address})


class _Sets:
    """The IP sets of the environment's firewall (components/firewall.py)."""

    def __init__(self, target: kit.Target) -> None:
        self._waf = target.client("wafv2", _REGION)
        start = f"{target.identity.environment}-firewall-"
        self._ids = {each["Name"]: each["Id"] for each in self._all() if each["Name"].startswith(start)}

    @property
    def blocked(self) -> list[str]:
        return sorted(name for name in self._ids if "-blocked-" in name)

    @property
    def allowed(self) -> list[str]:
        return sorted(name for name in self._ids if "-allowed-" in name)

    def addresses(self, name: str) -> list[str]:
        return list(self._get(name)["IPSet"]["Addresses"])

    def change(self, name: str, change: Callable[[set[str]], set[str]]) -> None:
        """AWS takes a change only with the token of the state that it was made from: who was slower looks again."""
        for attempt in range(_ATTEMPTS):
            got = self._get(name)
            before = set(got["IPSet"]["Addresses"])
            if (after := change(before)) == before:
                return
            described = {"Description": text} if (text := got["IPSet"].get("Description")) else {}
            try:
                self._waf.update_ip_set(
                    **self._named(name), Addresses=sorted(after), LockToken=got["LockToken"], **described
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "WAFOptimisticLockException" or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _get(self, name: str) -> Any:
        return self._waf.get_ip_set(**self._named(name))

    def _named(self, name: str) -> dict[str, str]:
        if name not in self._ids:
            raise kit.Refused(f"the firewall has no IP set {name}: bring the stack up to this checkout")
        return {"Name": name, "Id": self._ids[name], "Scope": _SCOPE}

    def _all(self) -> list[dict[str, Any]]:
        found, more = [], dict[str, str]()
        while True:
            answer = self._waf.list_ip_sets(Scope=_SCOPE, Limit=100, **more)
            found += answer["IPSets"]
            if not answer["IPSets"] or not answer.get("NextMarker"):
                return found
            more = {"NextMarker": answer["NextMarker"]}


class _Until:
    """Until when each address is refused: a parameter beside the runbook's lock, whose holder alone writes it."""

    def __init__(self, target: kit.Target) -> None:
        self._ssm = target.client("ssm")
        self._name = f"/{target.identity.environment}/runbooks/waf_block/until"

    def read(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._ssm.get_parameter(Name=self._name)["Parameter"]["Value"])
        except self._ssm.exceptions.ParameterNotFound:
            return {}
        return found

    def write(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        value = json.dumps(change(self.read()), sort_keys=True)
        self._ssm.put_parameter(Name=self._name, Value=value, Type="String", Overwrite=True)


def _network(text: str) -> Network:
    """Raises Refused for what is no network, or one that must not be refused."""
    try:
        network = ip_network(text)
    except ValueError as error:
        raise kit.Refused(f"--address {text} is no address or network: {error}") from error
    if network.prefixlen < _WIDEST[network.version]:
        raise kit.Refused(
            f"--address {text} is wider than /{_WIDEST[network.version]}, which is whole carriers: name parts of it"
        )
    if not network.is_global:
        raise kit.Refused(f"--address {text} is no public network: nobody comes to CloudFront from there")
    return network


def _not_ours(target: kit.Target, wanted: Sequence[Network]) -> None:
    """Raises Refused for what overlaps CloudFront's own networks, or those that people have let in."""
    if not wanted:
        return
    ec2, sets = target.client("ec2"), _Sets(target)
    lists = ec2.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": list(_CLOUDFRONT)}])
    own = [
        entry["Cidr"]
        for each in lists["PrefixLists"]
        for page in ec2.get_paginator("get_managed_prefix_list_entries").paginate(PrefixListId=each["PrefixListId"])
        for entry in page["Entries"]
    ]
    allowed = [address for name in sets.allowed for address in sets.addresses(name)]
    for whose, addresses in (("CloudFront's own", own), ("let in by the allow list, which goes first", allowed)):
        for address in addresses:
            for network in wanted:
                other = ip_network(address)
                if other.version == network.version and other.overlaps(network):
                    raise kit.Refused(f"--address {network} overlaps {address}, which is {whose}")


def _set_name(target: kit.Target, role: str, address: str) -> str:
    return f"{target.identity.environment}-firewall-{role}-ipv{ip_network(address).version}"


def _sampled(target: kit.Target, minutes: int) -> list[tuple[Any, ...]]:
    """Who matched a rule lately, those with the most requests first."""
    waf, acl = target.client("wafv2", _REGION), target.operations.firewall_arn
    _, name, acl_id = acl.rsplit("/", 2)
    now, weights = datetime.now(UTC), Counter[tuple[str, ...]]()
    for rule in waf.get_web_acl(Name=name, Id=acl_id, Scope=_SCOPE)["WebACL"]["Rules"]:
        metric = rule["VisibilityConfig"]["MetricName"]
        answer = waf.get_sampled_requests(
            WebAclArn=acl,
            RuleMetricName=metric,
            Scope=_SCOPE,
            TimeWindow={"StartTime": now - timedelta(minutes=minutes), "EndTime": now},
            MaxItems=_SAMPLES,
        )
        for each in answer["SampledRequests"]:
            request = each["Request"]
            weights[request["ClientIP"], request.get("Country", ""), metric, each["Action"]] += each["Weight"]
    return [(*who, weight) for who, weight in weights.most_common(_SHOWN)]


app = kit.command(WafBlock)
if __name__ == "__main__":
    app()
