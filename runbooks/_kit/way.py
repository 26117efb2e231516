"""How a service comes to its database: its login says where, and a proxy may stand between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from runbooks._kit.rds import Instance
from runbooks._kit.target import Target

_FIELDS = ("host", "instance", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """``host`` and ``instance`` are addresses, ``owner`` is the ARN of the owner's secret.

    ``proxy`` is the one that the host is, if any, ``leads_to`` its target's id and ``state`` what it says of it.
    """

    host: str
    instance: str
    owner: str
    proxy: str = ""
    leads_to: str = ""
    state: str = ""

    def to(self, new: Instance) -> Way:
        """The same way, to another instance: through the proxy, if there is one."""
        owner = new.facts.get("MasterUserSecret", {}).get("SecretArn", self.owner)
        host, leads_to = (self.host, new.id) if self.proxy else (new.address, "")
        return replace(self, host=host, instance=new.address, owner=owner, leads_to=leads_to)

    def login(self) -> dict[str, str]:
        """What the login says of it."""
        return {"host": self.host, "instance": self.instance, "owner": self.owner}


def find(target: Target, service: str) -> Way:
    """The way of ``service``, as its login has it now."""
    login = target.secret(target.operations.database_secret_arns[service])
    way = Way(host=login["host"], instance=login.get("instance", login["host"]), owner=login.get("owner", ""))
    client = target.client("rds")
    for page in client.get_paginator("describe_db_proxies").paginate():
        for proxy in page["DBProxies"]:
            if proxy["Endpoint"] == way.host:
                name = proxy["DBProxyName"]
                for each in client.describe_db_proxy_targets(DBProxyName=name)["Targets"]:
                    state = each.get("TargetHealth", {}).get("State", "")
                    return replace(way, proxy=name, leads_to=each["RdsResourceId"], state=state)
                return replace(way, proxy=name)
    return way


def write(target: Target, service: str, way: Mapping[str, str]) -> None:
    """Change where a login leads; external-secrets brings it to the pods."""
    arn = target.operations.database_secret_arns[service]
    login = target.secret(arn)
    changed = {**login, **{part: way[part] for part in _FIELDS if part in login}}
    if changed != login:
        target.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=json.dumps(changed, sort_keys=True))


def lead(target: Target, proxy: str, instance_id: str) -> None:
    """Make an instance the target of a proxy, which has one (RDS User Guide, "RDS Proxy concepts"): the old one goes
    first.
    """
    client = target.client("rds")
    there = {each["RdsResourceId"] for each in client.describe_db_proxy_targets(DBProxyName=proxy)["Targets"]}
    if others := sorted(there - {instance_id}):
        client.deregister_db_proxy_targets(DBProxyName=proxy, DBInstanceIdentifiers=others)
    if instance_id not in there:
        client.register_db_proxy_targets(DBProxyName=proxy, DBInstanceIdentifiers=[instance_id])
