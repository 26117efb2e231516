"""The way in: firewall, CloudFront, load balancer, where people sign in, and a canary for each service with an API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pulumi

from components import aws_facts, pod
from components.canary import Canary, CanaryArgs
from components.canary_guard import CanaryGuard, CanaryGuardArgs
from components.certificate import Certificate, CertificateArgs
from components.edge import Edge, EdgeArgs
from components.firewall import Firewall, FirewallArgs
from components.hosted_zone import HostedZone
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.observability import OnCall
from components.route import Route, RouteArgs
from components.static_site import StaticSite
from stacks.applications import Applications
from stacks.compute import Compute
from stacks.foundation import Foundation
from stacks.objectives import canary_spec
from stacks.processes import PROCESSES, Entrypoint
from stacks.settings import SERVICES, PlatformSettings, ServiceName
from stacks.workloads import Workloads

# What the world calls a service: /api/booking/holds is /holds of booking.
API = "/api"
# Public reads that every buyer makes at once when a sale opens: the same answer for all of them, for a second.
SHARED = (f"{API}/booking/events/*",)
# What the world sees of Keycloak; its administration is not among it (Keycloak documentation, "Configuring a reverse
# proxy", "Exposed path recommendations").
IDENTITY = ("/realms/*", "/resources/*")
_IDENTITY_PRIORITY = 50
# Rules of the balancer: ten places for each service, so that a new one moves none. The environment's rules look at
# paths alone, so those of previews, which look at the host, too, come before them.
_FIRST, _PLACES = 100, 10
GUESTS = range(1, _IDENTITY_PRIORITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class WayIn:
    """``alarm_topics`` are the topics in us-east-1, where alarms of what has no Region are."""

    alarm_topics: Mapping[str, pulumi.Output[str]]
    zone: HostedZone
    balancer: LoadBalancer
    firewall: Firewall
    site: StaticSite
    edge: Edge
    canaries: dict[ServiceName, Canary]
    guard: CanaryGuard


def build(
    settings: PlatformSettings,
    foundation: Foundation,
    compute: Compute,
    services: Workloads,
    others: Applications,
    *,
    callers: pulumi.Input[str],
) -> WayIn:
    """Everything between a visitor and a pod; ``callers`` is the prefix list of CloudFront's addresses."""
    here, domain = foundation.context, settings.edge.domain
    # Each preview has a host of its own right below the environment's.
    guests = not settings.production
    abroad = OnCall("on-call-global", context=here, region=aws_facts.CLOUDFRONT_REGION)
    there = replace(here, alarm_topics=abroad.topic_arns)
    zone = HostedZone("names", domain, context=here)
    certificate = Certificate(
        "certificate",
        CertificateArgs(
            domain=domain,
            zone_id=zone.zone_id,
            regions=((aws_facts.CLOUDFRONT_REGION, there), (None, here)),
            guests=guests,
        ),
        context=here,
    )
    balancer = LoadBalancer(
        "balancer",
        LoadBalancerArgs(
            vpc_id=foundation.network.vpc_id,
            subnet_ids=foundation.network.intra_subnet_ids,
            certificate_arn=certificate.arns[None],
            callers=callers,
            pods=compute.cluster.security_group_id,
            pod_port=pod.API_PORT,
        ),
        context=here,
    )
    chosen = settings.edge.firewall
    firewall = Firewall(
        "firewall", FirewallArgs(profile=chosen.profile, enforced=frozenset(chosen.enforced)), context=there
    )
    site = StaticSite("site", context=here)
    issuer = urlsplit(settings.outside.issuer)
    edge = Edge(
        "edge",
        EdgeArgs(
            domain=domain,
            zone_id=zone.zone_id,
            certificate_arn=certificate.arns[aws_facts.CLOUDFRONT_REGION],
            firewall_arn=firewall.arn,
            balancer_arn=balancer.arn,
            balancer_dns_name=balancer.dns_name,
            service_paths=(f"{API}/*",),
            shared_paths=SHARED,
            identity_paths=IDENTITY,
            connects=(f"{issuer.scheme}://{issuer.netloc}",),
            guests=guests,
        ),
        site=site,
        context=there,
        # A private connection is made to a balancer that listens.
        opts=pulumi.ResourceOptions(depends_on=[balancer]),
    )
    Route(
        "sign-in",
        RouteArgs(
            paths=IDENTITY,
            priority=_IDENTITY_PRIORITY,
            service=others.identity.service,
            port=pod.API_PORT,
            alive=urlsplit(others.identity.issuer).path,
            namespace=compute.namespace.name,
            vpc_id=foundation.network.vpc_id,
            listener_arn=balancer.listener_arn,
        ),
        context=here,
        opts=pulumi.ResourceOptions(
            providers={"kubernetes": compute.cluster.kubernetes}, depends_on=[compute.operators, others.identity]
        ),
    )
    canaries = {
        service: _canary(service, entry, number, balancer, foundation, compute, services)
        for number, (service, entry) in enumerate(serving())
    }
    return WayIn(
        alarm_topics=abroad.topic_arns,
        zone=zone,
        balancer=balancer,
        firewall=firewall,
        site=site,
        edge=edge,
        canaries=canaries,
        guard=CanaryGuard(
            "canary-guard", CanaryGuardArgs(canaries={str(name): one for name, one in canaries.items()}), context=here
        ),
    )


def serving() -> list[tuple[ServiceName, Entrypoint]]:
    """The services that have an API, in their order, each with the process that serves it."""
    return [(service, entry) for service in SERVICES for entry in PROCESSES[service] if entry.serves]


def _canary(
    service: ServiceName,
    entry: Entrypoint,
    number: int,
    balancer: LoadBalancer,
    foundation: Foundation,
    compute: Compute,
    services: Workloads,
) -> Canary:
    return Canary(
        f"{service}-canary",
        CanaryArgs(
            spec=canary_spec(service),
            vpc_id=foundation.network.vpc_id,
            listener_arn=balancer.listener_arn,
            balancer_arn_suffix=balancer.arn_suffix,
            prefix=f"{API}/{service}",
            priority=_FIRST + _PLACES * number,
            namespace=compute.namespace.name,
            labels=services.services[service].labels(entry.name),
            reaches=entry.reaches,
            surroundings=services.surroundings,
        ),
        context=foundation.context,
        opts=pulumi.ResourceOptions(
            providers={"kubernetes": compute.cluster.kubernetes},
            # The operators bring the definition of a TargetGroupBinding, and take targets out when one goes.
            depends_on=[compute.operators, services.services[service]],
        ),
    )
