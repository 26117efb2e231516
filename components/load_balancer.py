"""The load balancer behind CloudFront: internal, HTTPS alone, closed to all but CloudFront and to pods outwards.

It has no address on the internet, so there is no way around the firewall. It stands in subnets without a way out, away
from the pods: whoever may call the services by address is then a short list. What no rule of a service takes gets 404.
Access logs go to a bucket under S3's own key, because ELB writes under no other (Application Load Balancer Guide,
"Enable access logs": SSE-S3 is the one option).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import ec2, lb, s3

from components import iam, ingress, private_bucket
from components.alarm import alarm
from components.context import Context, Place
from components.severity import Severity

_HTTPS = 443
# TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers (Application Load Balancer Guide, "Security policies").
_TLS = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
# Seconds; CloudFront keeps its connections shorter, so that it is never the one who finds a closed one.
_IDLE = 60
_NOTHING = '{"type": "about:blank", "title": "Not Found", "status": 404}'
# Errors of the balancer itself in five minutes: a deployment that goes wrong makes more, a single slow pod fewer.
_ERRORS_ABOVE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerArgs:
    """``callers`` is the prefix list of CloudFront's addresses; ``pods`` the group of what listens at ``pod_port``."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    certificate_arn: pulumi.Input[str]
    callers: pulumi.Input[str]
    pods: pulumi.Input[str]
    pod_port: int

    def __post_init__(self) -> None:
        if len(self.subnet_ids) < 2:
            raise ValueError(
                f"subnet_ids are {len(self.subnet_ids)}; a load balancer needs two, each in a zone of its own: set "
                "network.zones"
            )


def log_statements(place: Place, bucket_arn: str) -> list[dict[str, Any]]:
    """ELB's log delivery writes below the account's own prefix, which is what keeps other accounts out (Application
    Load Balancer Guide, "Enable access logs").
    """
    return [
        iam.allow(
            ("s3:PutObject",),
            (f"{bucket_arn}/AWSLogs/{place.account_id}/*",),
            principal={"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        )
    ]


class LoadBalancer(pulumi.ComponentResource):
    """An internal application load balancer with its listener, its security group, its logs and its alarms."""

    arn: pulumi.Output[str]
    arn_suffix: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    listener_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: LoadBalancerArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:edge:LoadBalancer", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        logs, writable = self._logs()
        group = self._group(args)
        balancer = lb.LoadBalancer(
            name,
            internal=True,
            load_balancer_type="application",
            subnets=list(args.subnet_ids),
            security_groups=[group.id],
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            # CloudFront says the visitor's host, and the certificate is for it.
            preserve_host_header=True,
            idle_timeout=_IDLE,
            enable_deletion_protection=context.protected,
            access_logs={"bucket": logs.bucket, "enabled": True},
            tags=context.tags(name),
            # ELB tries to write as soon as it is told to.
            opts=context.keep(pulumi.ResourceOptions(parent=self, depends_on=[writable])),
        )
        listener = lb.Listener(
            name,
            load_balancer_arn=balancer.arn,
            port=_HTTPS,
            protocol="HTTPS",
            ssl_policy=_TLS,
            certificate_arn=args.certificate_arn,
            default_actions=[
                {
                    "type": "fixed-response",
                    "fixed_response": {
                        "content_type": "application/json",
                        "message_body": _NOTHING,
                        "status_code": "404",
                    },
                }
            ],
            tags=context.tags(name),
            opts=self._child,
        )
        self.arn, self.arn_suffix, self.dns_name = balancer.arn, balancer.arn_suffix, balancer.dns_name
        self.listener_arn, self.security_group_id = listener.arn, group.id
        alarm(
            f"{name}-errors",
            context=context,
            says="The load balancer itself answers with errors: nobody behind it answers, or not in time.",
            runbook="edge_errors",
            namespace="AWS/ApplicationELB",
            metric="HTTPCode_ELB_5XX_Count",
            dimensions={"LoadBalancer": balancer.arn_suffix},
            statistic="Sum",
            above=_ERRORS_ABOVE,
            severity=Severity.PAGE,
            opts=self._child,
        )
        self.register_outputs({"arn": self.arn})

    def _group(self, args: LoadBalancerArgs) -> ec2.SecurityGroup:
        name = self._name
        group = ec2.SecurityGroup(
            name,
            description="The load balancer: in from CloudFront, out to pods",
            vpc_id=args.vpc_id,
            ingress=[
                {
                    "description": "CloudFront",
                    "protocol": "tcp",
                    "from_port": _HTTPS,
                    "to_port": _HTTPS,
                    "prefix_list_ids": [args.callers],
                }
            ],
            egress=[
                {
                    "description": "APIs of the services",
                    "protocol": "tcp",
                    "from_port": args.pod_port,
                    "to_port": args.pod_port,
                    "security_groups": [args.pods],
                }
            ],
            tags=self._context.tags(name),
            opts=self._child,
        )
        ingress.rule(
            f"{name}-pods",
            "The load balancer",
            into=args.pods,
            source=group.id,
            port=args.pod_port,
            opts=self._child,
        )
        return group

    def _logs(self) -> tuple[s3.Bucket, s3.BucketPolicy]:
        name, context = f"{self._name}-logs", self._context
        bucket = private_bucket.bucket(
            name,
            context=context,
            key_arn=None,
            expires_days=context.log_retention_days,
            replaced_days=1,
            opts=self._child,
        ).bucket
        policy = s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=pulumi.Output.all(context.place, bucket.arn).apply(
                lambda known: private_bucket.policy(known[1], log_statements(*known))
            ),
            opts=self._child,
        )
        return bucket, policy
