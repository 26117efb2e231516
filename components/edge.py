"""The way in: one CloudFront distribution before the static site and the services, and the names that lead to it.

| path | from | cached |
| --- | --- | --- |
| /releases/* | the static site; its copy abroad when S3 here fails | for ever: these files never change |
| where people sign in (``identity_paths``) | the load balancer | nothing |
| what is the same for everybody (``shared_paths``: public reads, rendered pages) | the load balancer | a second |
| the services (``service_paths``) | the load balancer, over a private connection of CloudFront's (VPC origin) | never |
| everything else | the static site, whose function leads to the current release | until the pointer moves |

It refuses a path that does not start with a slash and paths that are named twice. Pages are found by a function, never
by turning the 403 or 404 of any origin into index.html: a service's refusal stays a refusal.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
from pulumi_aws import cloudfront, route53

from components import aws_facts, edge_logs, edge_policies
from components.alarm import alarm
from components.certificate import check_host, hosts
from components.context import Context
from components.edge_behaviours import APPLICATION, behaviours, failover
from components.severity import Severity
from components.static_site import RELEASES, StaticSite

_REGION = aws_facts.CLOUDFRONT_REGION
# CloudFront Developer Guide, "Quotas": cache behaviours of a distribution.
_BEHAVIOURS = 75
# Seconds that CloudFront waits for a service; beyond it a buyer has gone or tries again.
_PATIENCE, _KEEPALIVE = 30, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeArgs:
    """``connects`` are other hosts that pages call, such as the issuer of logins; ``guests`` lets hosts below in."""

    domain: str
    zone_id: pulumi.Input[str]
    certificate_arn: pulumi.Input[str]
    firewall_arn: pulumi.Input[str]
    balancer_arn: pulumi.Input[str]
    balancer_dns_name: pulumi.Input[str]
    service_paths: Sequence[str]
    shared_paths: Sequence[str]
    identity_paths: Sequence[str]
    connects: Sequence[str]
    guests: bool = False

    def __post_init__(self) -> None:
        check_host(self.domain)
        paths = [*self.shared_paths, *self.service_paths, *self.identity_paths]
        if wrong := [path for path in paths if not path.startswith("/") or path.startswith(f"/{RELEASES}")]:
            raise ValueError(
                f"paths have {', '.join(wrong)}; each starts with a slash and leaves /{RELEASES} to the static site: "
                "write it like /api/*"
            )
        if len(set(paths)) != len(paths):
            raise ValueError(f"paths are {', '.join(paths)}; the first that fits decides, so name each once")
        if len(paths) + 2 > _BEHAVIOURS:
            raise ValueError(f"{len(paths)} paths are named; CloudFront has {_BEHAVIOURS} behaviours: use wildcards")


class Edge(pulumi.ComponentResource):
    """The distribution with its origins, policies, log, names and alarms."""

    distribution_id: pulumi.Output[str]
    distribution_arn: pulumi.Output[str]
    domain_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: EdgeArgs,
        *,
        site: StaticSite,
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``context`` has a topic in us-east-1, where CloudFront's metrics are."""
        super().__init__("platform:edge:Edge", name, None, opts)
        self._name, self._args, self._context = name, args, context
        self._child = pulumi.ResourceOptions(parent=self)
        policies = edge_policies.make(name, args.connects, context=context, opts=self._child)
        first, *others = behaviours(
            args.service_paths, args.shared_paths, args.identity_paths, policies, leads=site.function_arn
        )
        distribution = cloudfront.Distribution(
            name,
            enabled=True,
            comment=f"{context.environment}: {args.domain}",
            aliases=hosts(args.domain, args.guests),
            http_version="http2and3",
            is_ipv6_enabled=True,
            # Europe and North America: most buyers are near, the others are served from there.
            price_class="PriceClass_100",
            web_acl_id=args.firewall_arn,
            origins=cast(Any, [*self._static_origins(site), self._application()]),
            origin_groups=cast(Any, [failover("home", "copy")]),
            default_cache_behavior=cast(Any, first),
            ordered_cache_behaviors=cast(Any, others),
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={
                "acm_certificate_arn": args.certificate_arn,
                "ssl_support_method": "sni-only",
                "minimum_protocol_version": "TLSv1.2_2021",
            },
            tags=context.tags(name),
            opts=self._child,
        )
        self.distribution_id, self.distribution_arn = distribution.id, distribution.arn
        self.domain_name = distribution.domain_name
        site.serve_to(distribution.arn)
        self.log_group_name = edge_logs.make(f"{name}-log", distribution.arn, context=context, opts=self._child)
        for host, kind in itertools.product(hosts(args.domain, args.guests), ("A", "AAAA")):
            route53.Record(
                f"{name}-{kind.lower()}" if host == args.domain else f"{name}-guests-{kind.lower()}",
                zone_id=args.zone_id,
                name=host,
                type=kind,
                aliases=[
                    {
                        "name": distribution.domain_name,
                        "zone_id": distribution.hosted_zone_id,
                        "evaluate_target_health": False,
                    }
                ],
                opts=self._child,
            )
        self._alarms(site)
        self.register_outputs({"distribution_id": self.distribution_id, "domain_name": self.domain_name})

    def _static_origins(self, site: StaticSite) -> list[dict[str, Any]]:
        access = cloudfront.OriginAccessControl(
            f"{self._name}-static",
            name=f"{self._context.environment}-{self._name}-static",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=self._child,
        )
        return [
            {"origin_id": role, "domain_name": host, "origin_access_control_id": access.id}
            for role, host in site.domain_names.items()
        ]

    def _application(self) -> dict[str, Any]:
        name, args = self._name, self._args
        private = cloudfront.VpcOrigin(
            f"{name}-application",
            vpc_origin_endpoint_config={
                "name": f"{self._context.environment}-{name}-application",
                "arn": args.balancer_arn,
                "http_port": 80,
                "https_port": 443,
                "origin_protocol_policy": "https-only",
                "origin_ssl_protocols": {"items": ["TLSv1.2"], "quantity": 1},
            },
            tags=self._context.tags(name),
            opts=self._child,
        )
        return {
            "origin_id": APPLICATION,
            "domain_name": args.balancer_dns_name,
            "vpc_origin_config": {
                "vpc_origin_id": private.id,
                "origin_read_timeout": _PATIENCE,
                "origin_keepalive_timeout": _KEEPALIVE,
            },
        }

    def _alarms(self, site: StaticSite) -> None:
        watched: tuple[tuple[str, str, str, dict[str, pulumi.Input[str]], int], ...] = (
            (
                "errors",
                "One answer in twenty that visitors get is an error.",
                "5xxErrorRate",
                {"DistributionId": self.distribution_id},
                5,
            ),
            (
                "function",
                "The function that leads to the current release fails.",
                "FunctionExecutionErrors",
                {"FunctionName": site.function_name},
                0,
            ),
        )
        for role, says, metric, dimensions, above in watched:
            alarm(
                f"{self._name}-{role}",
                context=self._context,
                says=says,
                runbook="edge_errors",
                namespace="AWS/CloudFront",
                metric=metric,
                dimensions={**dimensions, "Region": "Global"},
                statistic="Average" if role == "errors" else "Sum",
                above=above,
                severity=Severity.PAGE,
                region=_REGION,
                opts=self._child,
            )
