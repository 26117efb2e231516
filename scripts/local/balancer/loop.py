"""Keeps HAProxy at what ELBv2 and Kubernetes say, and tells ELBv2 and CloudWatch what HAProxy sees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from scripts.local.balancer.configuration import Group
from scripts.local.balancer.counts import NAMESPACE, Counts
from scripts.local.balancer.haproxy import HAProxy, Refused
from scripts.local.balancer.rules import NotUnderstood, Rule, read
from scripts.local.balancer.targets import Targets, bound
from scripts.local.kubernetes.api import Api, ApiError

log = logging.getLogger(__name__)
# How soon a change of a rule or of a pod is there; and how often CloudWatch is told, as often as its alarms are judged.
_EVERY_SECONDS, _TOLD_EVERY = 0.5, 5.0
_TROUBLE = (ApiError, BotoCoreError, ClientError, NotUnderstood, OSError, Refused, httpx.HTTPError)


@dataclass(frozen=True, slots=True)
class Listener:
    """What is listened for: the balancer's ARN, its rules, the groups that they name."""

    balancer: str
    rules: list[Rule]
    groups: list[Group]


class Loop:
    """``client`` makes clients of AWS; ``control`` is the cloud's control endpoint."""

    def __init__(self, client: Callable[[str], Any], control: str, kubeconfig: Path, proxy: HAProxy) -> None:
        self._client, self._control, self._kubeconfig, self._proxy = client, control, kubeconfig, proxy
        self._registered: dict[str, Targets] = {}
        self._told: dict[str, dict[str, str]] = {}
        self._said = ""
        self._listener: Listener | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        counts, host = Counts(), self._proxy.place.log.rpartition(":")
        at = (host[0], int(host[2]))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: counts, local_addr=at)
        try:
            async with Api(self._kubeconfig) as api:
                await asyncio.gather(self._follow(api), self._tell(counts))
        finally:
            transport.close()

    async def _follow(self, api: Api) -> None:
        while True:
            try:
                targets = await bound(api)
                await asyncio.to_thread(self._round, targets)
                self._said = ""
            except _TROUBLE as error:
                self._listener = None
                # Said once, and not twice a second for as long as it lasts.
                if self._said != (says := repr(error)):
                    log.error("%s", says)
                self._said = says
            await asyncio.sleep(_EVERY_SECONDS)

    def _round(self, targets: dict[str, Targets]) -> None:
        self._listener = found = self._read(targets)
        if found is None:
            return
        self._register(found.groups)
        self._proxy.bring(found.rules, found.groups)
        for arn, states in self._proxy.states(found.groups).items():
            if self._told.get(arn) != states:
                body = {"group": arn, "states": states}
                httpx.put(f"{self._control}/targets", json=body).raise_for_status()
                self._told[arn] = states

    @cached_property
    def _elb(self) -> Any:
        return self._client("elbv2")

    def _read(self, targets: dict[str, Targets]) -> Listener | None:
        """The one balancer of an environment, once it has a listener."""
        known = self._listener
        if known is None:
            # Rules and groups come and go; this is asked until it is there.
            self._arns = [
                (balancer["LoadBalancerArn"], listener["ListenerArn"])
                for balancer in self._elb.describe_load_balancers()["LoadBalancers"]
                for listener in self._elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
            ]
            if not self._arns:
                return None
        [(balancer, listener), *_] = self._arns
        rules = read(
            [
                rule
                for page in self._elb.get_paginator("describe_rules").paginate(ListenerArn=listener)
                for rule in page["Rules"]
            ]
        )
        named = {arn for rule in rules for arn in rule.shares}
        groups = [
            _group(each, targets.get(each["TargetGroupArn"], frozenset()))
            for each in self._elb.describe_target_groups()["TargetGroups"]
            if each["TargetGroupArn"] in named
        ]
        return Listener(balancer, rules, groups)

    def _register(self, groups: list[Group]) -> None:
        """As AWS's controller does, so that ELBv2 knows the targets."""
        for group in groups:
            before = self._registered.get(group.arn, frozenset())
            for call, changed in (
                (self._elb.register_targets, group.targets - before),
                (self._elb.deregister_targets, before - group.targets),
            ):
                if changed:
                    call(TargetGroupArn=group.arn, Targets=[{"Id": id, "Port": port} for id, port in changed])
            self._registered[group.arn] = group.targets

    async def _tell(self, counts: Counts) -> None:
        while True:
            await asyncio.sleep(_TOLD_EVERY)
            try:
                await asyncio.to_thread(self._publish, counts)
            except _TROUBLE as error:
                log.error("%r", error)

    def _publish(self, counts: Counts) -> None:
        found = self._listener
        if found is None:
            return
        data = counts.taken(
            found.balancer.partition(":loadbalancer/")[2],
            {group.name: group.arn.rpartition(":")[2] for group in found.groups},
            {group.name: self._told.get(group.arn, {}) for group in found.groups},
        )
        now = datetime.now(UTC)
        if told := [{**each, "Timestamp": now} for each in data]:
            self._client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=told)


def _group(answer: dict[str, Any], targets: Targets) -> Group:
    return Group(
        arn=answer["TargetGroupArn"],
        name=answer["TargetGroupName"],
        path=answer["HealthCheckPath"],
        interval=answer["HealthCheckIntervalSeconds"],
        timeout=answer["HealthCheckTimeoutSeconds"],
        rise=answer["HealthyThresholdCount"],
        fall=answer["UnhealthyThresholdCount"],
        targets=targets,
    )
