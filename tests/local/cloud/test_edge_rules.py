"""What CloudFront, WAF and ELB refuse, the simulated cloud refuses before anything is made."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scripts.local.cloud.aws import AwsBackend
from scripts.local.cloud.backend import Resource
from scripts.local.cloud.session import Session

MANAGED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"


def behaviour(target: str, *methods: str, **more: Any) -> dict[str, Any]:
    return {
        "targetOriginId": target,
        "viewerProtocolPolicy": "https-only",
        "allowedMethods": ["GET", "HEAD", *methods],
        "cachedMethods": ["GET", "HEAD"],
        "cachePolicyId": MANAGED,
        **more,
    }


GROUP = {
    "originId": "site",
    "failoverCriteria": {"statusCodes": [500]},
    "members": [{"originId": "home"}, {"originId": "copy"}],
}
DISTRIBUTION: dict[str, Any] = {
    "enabled": True,
    "aliases": ["tickets.example.com"],
    "origins": [{"originId": name, "domainName": f"{name}.example"} for name in ("home", "copy", "application")],
    "originGroups": [GROUP],
    "defaultCacheBehavior": behaviour("site"),
    "orderedCacheBehaviors": [behaviour("application", "POST", pathPattern="/api/*")],
    "restrictions": {"geoRestriction": {"restrictionType": "none"}},
    "viewerCertificate": {"acmCertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"},
    "webAclId": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/one/1",
}


def refused(token: str, inputs: dict[str, Any]) -> str:
    """What the cloud says against the inputs; nothing when it takes them."""
    nowhere = Session("http://127.0.0.1:9", "123456789012")
    resource = Resource(f"urn:pulumi:dev::x::{token}::one", token, "one")
    return "; ".join(str(each) for each in AwsBackend(nowhere, "eu-west-3").check(resource, inputs, {}, b"").refusals)


def changed(path: str, value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(DISTRIBUTION)
    target: Any = whole
    *parents, last = path.split(".")
    for part in parents:
        target = target[int(part) if part.isdigit() else part]
    target[last] = value
    return whole


def test_a_distribution_that_fits_is_taken() -> None:
    assert refused("aws:cloudfront/distribution:Distribution", DISTRIBUTION) == ""


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("defaultCacheBehavior.targetOriginId", "nobody", "leads to 'nobody'"),
        ("defaultCacheBehavior.allowedMethods", ["GET", "HEAD", "POST"], "a group serves reads alone"),
        ("defaultCacheBehavior.cachePolicyId", None, "needs cachePolicyId"),
        ("originGroups.0.members", [{"originId": "home"}, {"originId": "mars"}], "it needs two of the origins"),
        ("orderedCacheBehaviors", [behaviour("home", pathPattern="/x")] * 2, "each may be there once"),
        ("viewerCertificate.acmCertificateArn", "arn:aws:acm:eu-west-3:123456789012:certificate/1", "us-east-1 alone"),
        ("viewerCertificate", {"cloudfrontDefaultCertificate": True}, "need a certificate for their names"),
        ("webAclId", "arn:aws:wafv2:eu-west-3:123456789012:regional/webacl/one/1", "scope CLOUDFRONT"),
    ],
)
def test_a_distribution_that_could_not_work_is_refused(path: str, value: Any, says: str) -> None:
    assert says in refused("aws:cloudfront/distribution:Distribution", changed(path, value))


def test_a_distribution_with_a_policy_that_is_not_there_is_planned_and_not_made() -> None:
    inputs = changed("defaultCacheBehavior.cachePolicyId", "0123456789abcdef")
    token = "aws:cloudfront/distribution:Distribution"
    backend = AwsBackend(Session("http://127.0.0.1:9", "123456789012"), "eu-west-3")
    resource = Resource(f"urn:pulumi:dev::x::{token}::one", token, "one")
    assert refused(token, inputs) == ""
    with pytest.raises(RuntimeError, match="cachePolicyId 0123456789abcdef, which does not exist"):
        backend.create(resource, inputs, preview=False, timeout=10)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"code": "x" * 10_241}, "a function has 10240 at most"),
        ({"keyValueStoreAssociations": ["arn:one"], "runtime": "cloudfront-js-1.0"}, "runtime cloudfront-js-2.0"),
        ({"keyValueStoreAssociations": ["arn:one", "arn:two"]}, "a function has one"),
    ],
)
def test_a_function_that_cloudfront_does_not_run_is_refused(inputs: dict[str, Any], says: str) -> None:
    whole = {"code": "x", "runtime": "cloudfront-js-2.0", **inputs}
    assert says in refused("aws:cloudfront/function:Function", whole)


def test_a_log_of_the_firewall_with_another_name_is_refused() -> None:
    token = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
    group = "arn:aws:logs:us-east-1:123456789012:log-group:"
    inputs = {"resourceArn": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/one/1"}
    assert "starts with aws-waf-logs-" in refused(token, {**inputs, "logDestinationConfigs": [f"{group}firewall"]})
    assert refused(token, {**inputs, "logDestinationConfigs": [f"{group}aws-waf-logs-one"]}) == ""


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        ({"limit": 9}, "has limit 9, it must be 10 or more"),
        ({"limit": 10, "evaluationWindowSec": 61}, "choose 60, 120, 300 or 600"),
    ],
)
def test_a_rate_that_waf_does_not_count_is_refused(rate: dict[str, Any], says: str) -> None:
    seen = {"cloudwatchMetricsEnabled": True, "metricName": "one", "sampledRequestsEnabled": True}
    rule = {
        "name": "one",
        "priority": 1,
        "action": {"count": {}},
        "statement": {"rateBasedStatement": {"aggregateKeyType": "IP", **rate}},
        "visibilityConfig": seen,
    }
    inputs = {"scope": "REGIONAL", "defaultAction": {"allow": {}}, "visibilityConfig": seen, "rules": [rule]}
    assert says in refused("aws:wafv2/webAcl:WebAcl", inputs)


@pytest.mark.parametrize(
    ("weights", "says"), [([999, 1], ""), ([1000, 0], "0 to 999"), ([1] * 6, "a rule has 5 at most")]
)
def test_weights_that_alb_does_not_take_are_refused(weights: list[int], says: str) -> None:
    groups = [
        {"arn": f"arn:aws:elasticloadbalancing:eu-west-3:123456789012:targetgroup/g/{n}", "weight": weight}
        for n, weight in enumerate(weights)
    ]
    inputs = {
        "listenerArn": "arn:aws:elasticloadbalancing:eu-west-3:123456789012:listener/app/b/1/2",
        "priority": 1,
        "conditions": [{"pathPattern": {"values": ["/*"]}}],
        "actions": [{"type": "forward", "forward": {"targetGroups": groups}}],
    }
    told = refused("aws:lb/listenerRule:ListenerRule", inputs)
    assert says in told if says else told == ""
