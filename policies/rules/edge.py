"""Rules for what faces the world: firewall, balancers, CloudFront, certificates, names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from policies.checks import Judged, Properties, count, is_true, never, none_of, one_of, present, within
from policies.kit import rule, stack_rule
from policies.stacks import Companion, known

_ACL = "aws:wafv2/webAcl:WebAcl"
_LOGGING = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
_BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
_ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
_TLS = (
    *("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
    *("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "ELBSecurityPolicy-TLS13-1-3-2021-06"),
)
_SITE = "aws:cloudfront/distribution:Distribution"
_SITE_LOGS = "aws:cloudwatch/logDeliverySource:LogDeliverySource"
_VIEWERS = ("redirect-to-https", "https-only")
_KNOWN_BAD = "AWSManagedRulesKnownBadInputsRuleSet"
_SSL_OFF = "HTTP", "TCP", "UDP", "TCP_UDP"


def some_rule(wanted: Callable[[Mapping[str, Any]], bool], says: str, good: Mapping[str, Any], remedy: str) -> Judged:
    """Among the web ACL's rules is one that is ``wanted``."""

    def judge(props: Properties) -> str | None:
        if props.get("ruleJson"):
            return None
        found = any(wanted(one.get("statement") or {}) for one in ("rules" in props and props["rules"]) or ())
        return None if found else f"rules has none {says}, one must be there"

    return Judged(
        path="rules",
        judge=judge,
        good={"rules": [{"statement": good}]},
        bad=({"rules": []},),
        remedy=remedy,
        absent_is_fine=False,
    )


def every_rule_acts(props: Properties) -> str | None:
    """A rule without an action is refused by AWS late; one that overrides counts as acting."""
    for number, one in enumerate(("rules" in props and props["rules"]) or ()):
        if not any(key in one for key in ("action", "overrideAction")):
            return f"rules[{number}] has no action, it must have action or overrideAction"
    return None


def plain_http_redirects(props: Properties) -> str | None:
    """A listener in plain text may do one thing: send to HTTPS."""
    if props.get("protocol") not in _SSL_OFF:
        return None
    for one in ("defaultActions" in props and props["defaultActions"]) or ():
        if one.get("type") == "redirect" and (one.get("redirect") or {}).get("protocol") == "HTTPS":
            return None
    return f"protocol is {props.get('protocol')!r}, it must be HTTPS or TLS, or redirect to HTTPS"


def origins_guarded(props: Properties) -> str | None:
    """A bucket and a function's address answer CloudFront only."""
    for number, one in enumerate(("origins" in props and props["origins"]) or ()):
        domain = str(one.get("domainName"))
        if (".s3." in domain or ".lambda-url." in domain) and not one.get("originAccessControlId"):
            return f"origins[{number}].originAccessControlId is absent, it must be set"
    return None


def _origin(**more: Any) -> dict[str, Any]:
    return {"origins": [{"originId": "a", "domainName": "site.s3.eu-west-3.amazonaws.com", **more}]}


RULES = [
    rule("firewall-has-rules", "FSBP WAF.10", count("rules", 1)),
    rule("firewall-measured", "FSBP WAF.12", is_true("rules[].visibilityConfig.cloudwatchMetricsEnabled")),
    stack_rule(
        "firewall-logged",
        "CKV CKV2_AWS_31",
        Companion(
            of=(_ACL,),
            by=(_LOGGING,),
            link="resourceArn",
            checks=(count("redactedFields", 1),),
            says="no logging configuration with redactedFields names it, one must",
        ),
        types=(_ACL, _LOGGING),
        remedy="Log it, without authorization and cookie headers",
    ),
    rule(
        "firewall-knows-bad-inputs",
        "CKV CKV_AWS_192",
        some_rule(
            lambda one: (one.get("managedRuleGroupStatement") or {}).get("name") == _KNOWN_BAD,
            f"of {_KNOWN_BAD}",
            {"managedRuleGroupStatement": {"name": _KNOWN_BAD}},
            f"Add {_KNOWN_BAD}",
        ),
    ),
    rule(
        "firewall-rules-act",
        "CKV CKV_AWS_342",
        Judged(
            path="rules",
            judge=every_rule_acts,
            good={"rules": [{"action": {"block": {}}}]},
            bad=({"rules": [{}]},),
            remedy="Give the rule an action",
        ),
    ),
    rule(
        "firewall-limits-rates",
        "HOUSE WAF-rate",
        some_rule(
            lambda one: bool(one.get("rateBasedStatement")),
            "with a rateBasedStatement",
            {"rateBasedStatement": {"limit": 100}},
            "Limit the rate of one address",
        ),
    ),
    stack_rule(
        "balancer-behind-firewall",
        "CKV CKV2_AWS_28",
        Companion(
            of=_BALANCERS,
            by=(_ASSOCIATION,),
            link="resourceArn",
            spare=lambda one: known(one, "internal") is True,
            says="it is public and has no web ACL, one must be associated",
        ),
        types=(*_BALANCERS, _ASSOCIATION),
        remedy="Associate a web ACL, or make it internal",
    ),
    rule(
        "listener-encrypted",
        ("FSBP ELB.1", "FSBP ELB.18"),
        Judged(
            path="protocol",
            judge=plain_http_redirects,
            good={"protocol": "HTTPS"},
            bad=({"protocol": "HTTP"},),
            remedy="Listen on HTTPS, or redirect to it",
        ),
    ),
    rule("balancer-drops-bad-headers", "FSBP ELB.4", is_true("dropInvalidHeaderFields"), mends=True),
    rule("balancer-logged", "FSBP ELB.5", is_true("accessLogs.enabled")),
    rule("balancer-kept", "FSBP ELB.6", is_true("enableDeletionProtection"), resilience=True),
    rule("balancer-resists-desync", "FSBP ELB.12", none_of("desyncMitigationMode", "monitor")),
    rule("balancer-in-two-zones", "FSBP ELB.13", count("subnets", 2)),
    rule("listener-modern-tls", "FSBP ELB.17", one_of("sslPolicy", *_TLS).only_when("protocol", "HTTPS", "TLS")),
    rule("no-classic-balancer", "FSBP ELB.3", never("of an older generation")),
    rule("site-has-root", "FSBP CloudFront.1", present("defaultRootObject")),
    rule("site-encrypted", "FSBP CloudFront.3", one_of("defaultCacheBehavior.viewerProtocolPolicy", *_VIEWERS)),
    rule(
        "site-paths-encrypted", "FSBP CloudFront.3", one_of("orderedCacheBehaviors[].viewerProtocolPolicy", *_VIEWERS)
    ),
    rule("site-origin-fails-over", "FSBP CloudFront.4", count("originGroups", 1), resilience=True),
    stack_rule(
        "site-logged",
        "FSBP CloudFront.5",
        Companion(
            of=(_SITE,),
            by=(_SITE_LOGS,),
            link="resourceArn",
            says="no log delivery names it, one must",
            spare=lambda one: isinstance(known(one, "loggingConfig.bucket"), str),
        ),
        types=(_SITE, _SITE_LOGS),
        remedy="Declare a LogDeliverySource for it",
    ),
    rule("site-behind-firewall", "FSBP CloudFront.6", present("webAclId")),
    rule("site-own-certificate", "FSBP CloudFront.7", present("viewerCertificate.acmCertificateArn")),
    rule("site-by-name", "FSBP CloudFront.8", one_of("viewerCertificate.sslSupportMethod", "sni-only")),
    rule(
        "site-origins-encrypted",
        "FSBP CloudFront.9",
        one_of("origins[].customOriginConfig.originProtocolPolicy", "https-only", absent_is_fine=True),
    ),
    rule(
        "site-origins-modern-tls",
        "FSBP CloudFront.10",
        within("origins[].customOriginConfig.originSslProtocols", "TLSv1.2", "TLSv1.3"),
    ),
    rule(
        "site-origins-guarded",
        ("FSBP CloudFront.13", "FSBP CloudFront.16"),
        Judged(
            path="origins",
            judge=origins_guarded,
            good=_origin(originAccessControlId="E1"),
            bad=(_origin(),),
            remedy="Give the origin an OriginAccessControl",
        ),
        types=(_SITE,),
    ),
    rule(
        "site-modern-tls",
        "FSBP CloudFront.15",
        one_of("viewerCertificate.minimumProtocolVersion", "TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025"),
    ),
    rule(
        "site-secures-answers",
        "CKV CKV2_AWS_32",
        present("defaultCacheBehavior.responseHeadersPolicyId"),
        types=(_SITE,),
    ),
    rule(
        "site-strict-transport",
        "CKV CKV2_AWS_32",
        present("securityHeadersConfig.strictTransportSecurity.accessControlMaxAgeSec", 31536000),
        types=("aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy",),
    ),
    rule("certificate-strong", "FSBP ACM.2", none_of("keyAlgorithm", "RSA_1024")),
]
