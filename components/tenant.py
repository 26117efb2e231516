"""A guest of an environment's stores: a database for each service, a virtual host, a user of the cache.

It owns the logins and asks the environment's function (components/tenants.py) for what they open; when it is destroyed
the function takes that back before the logins go. It refuses nothing itself: names come from `preview_names`, which
does, in the stack and again in the function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import elasticache, lambda_, secretsmanager

from components.cache import ENGINE, limited
from components.context import Context
from components.preview_names import Names
from components.secrets import Secrets, generated_password


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a store listens: ``host``, and ``port`` as text."""

    host: pulumi.Input[str]
    port: pulumi.Input[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantArgs:
    """``topology`` is what the broker's virtual host has inside (components/broker_topology.py).

    ``broker`` is host:port of AMQP; ``user_group_id`` the group of those who may log in at the cache.
    """

    names: Names
    function_name: pulumi.Input[str]
    databases: Mapping[str, Address]
    broker: pulumi.Input[str]
    topology: Mapping[str, Any]
    cache: Address
    user_group_id: pulumi.Input[str]


class Tenant(pulumi.ComponentResource):
    """The logins, the call that makes what they open, and the cache's user."""

    databases: dict[str, secretsmanager.Secret]
    """Service → {username, password, host, port, database}."""
    owners: dict[str, secretsmanager.Secret]
    """Service → {username, password} of who migrates."""
    broker: dict[str, secretsmanager.Secret]
    """Service → {username, password, address}."""
    cache: secretsmanager.Secret
    """{username, password, host, port}"""

    def __init__(
        self,
        name: str,
        args: TenantArgs,
        *,
        secrets: Secrets,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("platform:preview:Tenant", name, None, opts)
        self._args, self._secrets = args, secrets
        self._child = pulumi.ResourceOptions(parent=self)
        services: Sequence[str] = list(args.databases)
        names = args.names
        self.databases = {service: self._database(service) for service in services}
        self.owners = {
            service: self._login(f"{service}-database-owner", names.owner(service), {}) for service in services
        }
        self.broker = {
            service: self._login(f"broker-{service}", names.user(service), {"address": args.broker})
            for service in services
        }
        lambda_.Invocation(
            name,
            function_name=args.function_name,
            input=pulumi.Output.json_dumps({"preview": names.preview, "topology": args.topology}, sort_keys=True),
            lifecycle_scope="CRUD",
            # Its logins are there before it asks, and go after it has taken back what they open.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[secrets]),
        )
        self._cache_user(name, context)
        self.register_outputs({})

    def _database(self, service: str) -> secretsmanager.Secret:
        names, address = self._args.names, self._args.databases[service]
        where = {"host": address.host, "port": address.port, "database": names.database(service)}
        return self._login(f"{service}-database", names.role(service), where)

    def _login(self, name: str, username: str, where: Mapping[str, pulumi.Input[str]]) -> secretsmanager.Secret:
        password = generated_password(name, self._child)
        return self._secrets.keep(
            name, {"username": username, "password": password, **where}, about="A login of a preview"
        )

    def _cache_user(self, name: str, context: Context) -> None:
        names, cache = self._args.names, self._args.cache
        password = generated_password(f"{name}-cache", self._child)
        user = elasticache.User(
            name,
            user_id=context.environment,
            user_name=names.cache_user,
            engine=ENGINE,
            access_string=limited(names.cache_prefix),
            authentication_mode=elasticache.UserAuthenticationModeArgs(type="password", passwords=[password]),
            tags=context.tags(name),
            opts=self._child,
        )
        elasticache.UserGroupAssociation(
            name, user_group_id=self._args.user_group_id, user_id=user.user_id, opts=self._child
        )
        self.cache = self._secrets.keep(
            "cache",
            {"username": names.cache_user, "password": password, "host": cache.host, "port": cache.port},
            about="A preview's user of the cache, for its own keys",
        )
