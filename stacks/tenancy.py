"""What an environment tells the previews that are its guests, and how they read it: the one side and the other.

Addresses, names and keys' ARNs, never a secret. Production offers nothing, so nothing can be its guest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components import addresses
from components.cache import Purpose
from components.tenants import Tenants, TenantsArgs
from stacks.data import Data
from stacks.edge import WayIn
from stacks.foundation import Foundation
from stacks.settings import PROJECT, SERVICES, PlatformSettings
from stacks.workloads import Workloads


def offer(
    settings: PlatformSettings, foundation: Foundation, data: Data, services: Workloads, way_in: WayIn
) -> Mapping[str, Any]:
    """The function that takes previews in, and what they need to know; exported as ``tenancy``."""
    subnets = addresses.plan(settings.network.cidr, len(settings.network.zones))
    cache, rotation = data.caches[Purpose.ADMISSION], foundation.rotation
    tenants = Tenants(
        "tenants",
        TenantsArgs(
            databases={name: data.databases[name].service_secret for name in SERVICES},
            broker=data.broker.administrator,
            cache=cache.secret,
            secrets_key_arn=foundation.secrets.key_arn,
            subnet_ids=foundation.network.intra_subnet_ids,
            security_group_id=rotation.security_group_id,
        ),
        context=foundation.context,
    )
    return {
        "function": tenants.function_name,
        "owner": settings.owner,
        "costCenter": settings.cost_center,
        "issuer": settings.outside.issuer,
        "stripeApi": settings.outside.stripe_api,
        "novuApi": settings.outside.novu_api,
        "listener": way_in.balancer.listener_arn,
        "secretsKey": foundation.secrets.key_arn,
        "sagaKey": services.saga.key_arn,
        "databases": {
            name: {"host": data.databases[name].address, "port": data.databases[name].port.apply(str)}
            for name in SERVICES
        },
        "broker": data.broker.address,
        "cache": {"host": cache.address, "port": cache.port, "userGroup": cache.user_group_id},
        "providers": {name: secret.name for name, secret in services.keys.items()},
        "subnets": {"data": list(subnets.data), "balancer": list(subnets.intra)},
    }


class Host:
    """The environment called ``name``, as its guests see it."""

    def __init__(self, name: str) -> None:
        self._stack = pulumi.StackReference(f"{pulumi.get_organization()}/{PROJECT}/{name}")
        self.tenancy: pulumi.Output[Any] = self._stack.outputs.apply(lambda found: _offered(found, name))

    def output(self, name: str) -> pulumi.Output[Any]:
        """One of its other outputs. Raises KeyError, by the engine, where there is none."""
        return self._stack.require_output(name)

    def offered(self, *path: str) -> pulumi.Output[Any]:
        """A value of what it offers."""
        found = self.tenancy
        for part in path:
            found = found[part]
        return found


def _offered(outputs: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not outputs.get("tenancy"):
        raise ValueError(
            f"{name} takes no previews: it is production, or not made yet by this version; choose another as host"
        )
    found: Mapping[str, Any] = outputs["tenancy"]
    return found
