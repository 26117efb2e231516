"""The zone of a domain in Route 53, and who may issue certificates for it: Amazon alone.

It is useless until the parent's zone delegates to it: the stack's output ``nameServers`` says to whom. Until then no
certificate can be proved, and the first update waits for it (docs/first-deployment.md).
"""

from __future__ import annotations

import pulumi
from pulumi_aws import route53

from components.certificate import check_host
from components.context import Context

_SECONDS = 3600
# Who ACM is to other authorities (ACM User Guide, "Configure a CAA record").
_AUTHORITY = '0 issue "amazon.com"'


class HostedZone(pulumi.ComponentResource):
    """A public hosted zone with its CAA record."""

    zone_id: pulumi.Output[str]
    name_servers: pulumi.Output[list[str]]

    def __init__(self, name: str, domain: str, *, context: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        check_host(domain)
        super().__init__("platform:edge:HostedZone", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # A new zone has other name servers: whoever delegates to it would have to be asked.
        zone = route53.Zone(name, name=domain, tags=context.tags(name), opts=context.keep(child))
        self.zone_id, self.name_servers = zone.zone_id, zone.name_servers.apply(list)
        route53.Record(
            name, zone_id=self.zone_id, name=domain, type="CAA", records=[_AUTHORITY], ttl=_SECONDS, opts=child
        )
        self.register_outputs({"zone_id": self.zone_id})
