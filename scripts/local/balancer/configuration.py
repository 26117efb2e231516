"""HAProxy's files: the configuration, which changes with the rules, and the maps, which change with their weights.

HAProxy's own weights are 256 steps at most, and one in a thousand has to be one in a thousand. So the group is chosen
by a random number, looked up in a map of the rule; a visitor with a cookie of the rule's stays with its group,
whatever the weights are, as with ALB. Maps and servers are changed in the running process: a change of weights breaks
no connection, and is there for the next request on each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from scripts.local.balancer.rules import Condition, Rule

COOKIE = "AWSALBTG"
_PLACE = "place.json"
# The group of a visitor is that of a number below this: fine enough for five groups with weights up to 999.
_NUMBERS = 1_000_000
# By this the group of a rule's visitor is looked up, and for how many seconds they stay.
STICKY, SECONDS = "sticky.map", "seconds.map"
# Seconds; the idle timeout is ALB's own default.
_TIMEOUTS = {"connect": 2, "client": 60, "server": 60, "http-keep-alive": 60, "http-request": 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the server listens, and has its files: ``pem`` is certificate and key, ``log`` takes datagrams."""

    folder: Path
    host: str
    port: int
    pem: Path
    log: str

    def save(self) -> None:
        """Write down what `load` reads."""
        kept = {"host": self.host, "port": self.port, "pem": str(self.pem), "log": self.log}
        (self.folder / _PLACE).write_text(json.dumps(kept))

    @classmethod
    def load(cls, folder: Path) -> Place:
        """The place whose files are in ``folder``."""
        kept = json.loads((folder / _PLACE).read_text())
        return cls(folder=folder, host=kept["host"], port=kept["port"], pem=Path(kept["pem"]), log=kept["log"])

    @property
    def file(self) -> Path:
        return self.folder / "haproxy.cfg"

    @property
    def socket(self) -> Path:
        """By it the running process is asked and changed."""
        return self.folder / "haproxy.sock"

    @property
    def master(self) -> Path:
        """By it the process reads its configuration anew."""
        return self.folder / "master.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A target group, with ``name`` for a backend; times are in seconds, ``targets`` are addresses with ports."""

    arn: str
    name: str
    path: str
    interval: float
    timeout: float
    rise: int
    fall: int
    targets: frozenset[tuple[str, int]] = frozenset()


def render(place: Place, rules: Sequence[Rule], groups: Sequence[Group], *, speed: float) -> str:
    """The configuration; targets are asked for their health ``speed`` times as often as AWS would."""
    return "\n".join([*_head(place), *_frontend(place, rules), *_backends(groups, speed), ""])


def _head(place: Place) -> Iterator[str]:
    yield "global"
    # By its name alone, in the folder in which the process works: a whole path may be longer than a socket's address.
    yield f"  stats socket unix@{place.socket.name} mode 600 level admin expose-fd listeners"
    # Of its log only the lines of requests.
    yield f"  log {place.log} len 1024 format raw local0 info info"
    yield "  hard-stop-after 60s"
    yield "  nbthread 1"
    yield "defaults"
    yield "  mode http"
    yield "  log global"
    # Of a server's end nobody is told by a request that fails: each has a connection of its own.
    yield "  option http-server-close"
    yield "  option redispatch 1"
    # A reload waits for the last request of each connection.
    yield "  option idle-close-on-response"
    yield "  retries 3"
    yield "  retry-on conn-failure"
    for name, seconds in _TIMEOUTS.items():
        yield f"  timeout {name} {seconds}s"


def _frontend(place: Place, rules: Sequence[Rule]) -> Iterator[str]:
    yield "frontend listener"
    yield f"  bind {place.host}:{place.port} ssl crt {place.pem} alpn h2,http/1.1 ssl-min-ver TLSv1.2"
    yield "  option forwardfor"
    yield "  http-request set-header X-Forwarded-Proto https"
    yield f"  http-request set-header X-Forwarded-Port {place.port}"
    for rule in rules:
        conditions = "".join(f" {_acl(each)}" for each in rule.conditions)
        yield f"  http-request set-var(txn.rule) str({rule.id}) if !{{ var(txn.rule) -m found }}{conditions}"
    yield f"  http-request set-var(txn.cookie) req.cook({COOKIE})"
    looked_up = f"var(txn.rule),concat(/,txn.cookie),map_str({place.folder / STICKY})"
    yield f"  http-request set-var(txn.group) {looked_up} if {{ var(txn.cookie) -m found }}"
    yield f"  http-request set-var(txn.seconds) var(txn.rule),map_str({place.folder / SECONDS})"
    for rule in rules:
        met = f"{{ var(txn.rule) -m str {rule.id} }}"
        if rule.shares:
            chosen = f"rand({_NUMBERS}),map_int({choices(place, rule)})"
            yield f"  http-request set-var(txn.group) {chosen} if {met} !{{ var(txn.group) -m found }}"
        else:
            answer = f"status {rule.status} content-type {_quoted(rule.type)} string {_quoted(rule.body)}"
            yield f"  http-request return {answer} if {met}"
        if rule.rewrite:
            pattern, replacement = rule.rewrite
            path = re.sub(r"\$(\d)", r"\\\1", replacement)
            yield f"  http-request replace-path {_quoted(pattern)} {_quoted(path)} if {met}"
    ticket = f'"{COOKIE}=%[var(txn.group)]; Max-Age=%[var(txn.seconds)]; Path=/"'
    yield f"  http-response add-header Set-Cookie {ticket} if {{ var(txn.seconds) -m found }}"
    yield "  use_backend %[var(txn.group)] if { var(txn.group) -m found }"
    yield '  log-format "%[var(txn.group)] %s %ST %Tr"'


def _backends(groups: Sequence[Group], speed: float) -> Iterator[str]:
    for group in groups:
        yield f"backend {group.name}"
        yield "  balance leastconn"
        yield "  option httpchk"
        yield f"  http-check send meth GET uri {group.path}"
        yield "  http-check expect status 200"
        yield f"  timeout check {round(group.timeout * 1000)}"
        for target in sorted(group.targets):
            yield f"  server {server(target)} {target[0]}:{target[1]} {checked(group, speed)}"


def server(target: tuple[str, int]) -> str:
    """What HAProxy calls a target."""
    return f"{target[0]}-{target[1]}"


def checked(group: Group, speed: float) -> str:
    """The words of a server that is asked for its health."""
    return f"check inter {round(group.interval * 1000 / speed)} rise {group.rise} fall {group.fall}"


def choices(place: Place, rule: Rule) -> Path:
    """The map of a rule: from a random number to a group."""
    return place.folder / f"rule-{rule.id}.map"


def maps(place: Place, rules: Sequence[Rule], groups: Sequence[Group]) -> dict[Path, dict[str, str]]:
    """What each map holds. Those who stay come first: whose group was taken out is led anew."""
    names = {group.arn: group.name for group in groups}
    sticky = {f"{rule.id}/{names[arn]}": names[arn] for rule in rules if rule.sticky for arn in rule.shares}
    seconds = {rule.id: str(rule.sticky) for rule in rules if rule.sticky}
    chosen = {choices(place, rule): _ranges(rule.shares, names) for rule in rules if rule.shares}
    return {place.folder / STICKY: sticky, place.folder / SECONDS: seconds, **chosen}


def _ranges(shares: Mapping[str, int], names: Mapping[str, str]) -> dict[str, str]:
    """Nobody has a number when all weights are 0."""
    weighted = {arn: weight for arn, weight in shares.items() if weight}
    total = sum(weighted.values())
    ends = [round(_NUMBERS * upto / total) for upto in accumulate(weighted.values(), initial=0)] if total else []
    numbers = zip(weighted, pairwise(ends), strict=True)
    return {f"{first}:{last - 1}": names[arn] for arn, (first, last) in numbers}


def _acl(condition: Condition) -> str:
    patterns = " ".join(_quoted(_regex(value)) for value in condition.values)
    match condition.kind:
        case "path":
            return f"{{ path -m reg {patterns} }}"
        case "host":
            return f"{{ req.hdr(host),field(1,:) -m reg -i {patterns} }}"
        case _:
            return f"{{ req.fhdr({condition.header}) -m reg -i {patterns} }}"


def _regex(pattern: str) -> str:
    """ALB's * is any number of characters, and its ? one."""
    parts = re.split(r"([*?])", pattern)
    return f"^{''.join({'*': '.*', '?': '.'}.get(part) or re.escape(part) for part in parts)}$"


def _quoted(text: str) -> str:
    """As in a shell; HAProxy reads % of strings as the start of a format nowhere where this is used."""
    return "'" + text.replace("'", "'\\''") + "'"
