"""CloudFront: kept beside moto, whose configuration nests otherwise than the provider's; its own rules are checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from scripts.local.cloud.backend import UNKNOWN, Refused
from scripts.local.cloud.table import Call, Row, Scope

# The hosted zone of every CloudFront distribution (Route 53: AliasTarget).
_ZONE = "Z2FDTNDATAQYW2"
_DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
# CloudFront Developer Guide, "Quotas on CloudFront Functions": bytes of code.
_CODE = 10_240
_READS = {"GET", "HEAD", "OPTIONS"}


def _behaviours(scope: Scope) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ("defaultCacheBehavior", "orderedCacheBehaviors"):
        given = scope.inputs.get(name)
        for each in given if isinstance(given, list) else [given]:
            if isinstance(each, dict):
                yield name, each


def _blocks(scope: Scope, name: str) -> list[dict[str, Any]]:
    given = scope.inputs.get(name)
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _origins(scope: Scope) -> None:
    """Every behaviour has an origin that exists; a group has two, and serves reads alone (CreateDistribution)."""
    given = [each.get("originId") for each in _blocks(scope, "origins")]
    if UNKNOWN in given:
        return
    origins = {str(id) for id in given}
    groups = {str(each.get("originId")): each.get("members") or [] for each in _blocks(scope, "originGroups")}
    for group, members in groups.items():
        named = [each.get("originId") for each in members]
        if len(named) != 2 or not set(named) <= origins:
            raise Refused("originGroups", f"{group} has members {named}; it needs two of the origins {sorted(origins)}")
    for name, each in _behaviours(scope):
        target = each.get("targetOriginId")
        if target is not UNKNOWN and target not in origins | set(groups):
            raise Refused(name, f"leads to {target!r}; origins and groups are {sorted({*origins, *groups})}")
        if target in groups and (more := sorted(set(each.get("allowedMethods") or ()) - _READS)):
            raise Refused(name, f"allows {', '.join(more)} on the origin group {target}; a group serves reads alone")


def _patterns(scope: Scope) -> None:
    found = [each.get("pathPattern") for _, each in _behaviours(scope) if each.get("pathPattern")]
    if len(found) != len(set(found)):
        raise Refused("orderedCacheBehaviors", f"have the path patterns {found}; each may be there once")


def _abroad(scope: Scope) -> None:
    """Certificate and web ACL of a distribution are in us-east-1; without a certificate there is no own name."""
    certificate = (scope.inputs.get("viewerCertificate") or {}).get("acmCertificateArn")
    if isinstance(certificate, str) and ":us-east-1:" not in certificate:
        raise Refused("viewerCertificate", f"has {certificate}; CloudFront takes certificates of us-east-1 alone")
    if scope.inputs.get("aliases") and certificate is None:
        raise Refused("aliases", "need a certificate for their names: set viewerCertificate.acmCertificateArn")
    acl = scope.inputs.get("webAclId")
    if isinstance(acl, str) and acl.startswith("arn:") and ":global/webacl/" not in acl:
        raise Refused("webAclId", f"is {acl}; CloudFront takes a web ACL of scope CLOUDFRONT")


def _policies(scope: Scope) -> None:
    """A policy that is named exists: one of the account's, or one that AWS manages, whose ids are UUIDs."""
    for key, kind in (
        ("cachePolicyId", "CachePolicy"),
        ("originRequestPolicyId", "OriginRequestPolicy"),
        ("responseHeadersPolicyId", "ResponseHeadersPolicy"),
    ):
        kept = scope.session.all_kept(f"aws:cloudfront/{kind[0].lower()}{kind[1:]}:{kind}")
        for name, each in _behaviours(scope):
            id = each.get(key)
            if isinstance(id, str) and id.count("-") != 4 and id not in kept:
                raise Refused(name, f"has {key} {id}, which does not exist")


def _cached(scope: Scope) -> None:
    for name, each in _behaviours(scope):
        if each.get("cachePolicyId") is None and each.get("forwardedValues") is None:
            raise Refused(name, "needs cachePolicyId (or forwardedValues)")


def _code(scope: Scope) -> None:
    code, stores = scope.inputs.get("code"), scope.inputs.get("keyValueStoreAssociations")
    if isinstance(code, str) and len(code.encode()) > _CODE:
        raise Refused("code", f"has {len(code.encode())} bytes; a function has {_CODE} at most")
    if stores and scope.get("runtime") != "cloudfront-js-2.0":
        raise Refused("keyValueStoreAssociations", "need the runtime cloudfront-js-2.0")
    if isinstance(stores, list) and len(stores) > 1:
        raise Refused("keyValueStoreAssociations", f"are {len(stores)}; a function has one")


def _unused(scope: Scope) -> None:
    """What a distribution uses stays."""
    names = [scope.id, str(scope.state.get("arn"))]
    users = [
        id
        for id, state in scope.session.all_kept(_DISTRIBUTION).items()
        if any(f'"{name}"' in json.dumps(state, default=str) for name in names)
    ]
    if users:
        raise Refused("", f"InUse: {scope.id} cannot be deleted while distribution {', '.join(users)} uses it")


def _policy(kind: str, method: str, *told: str, **more: Any) -> Row:
    path = more.pop("path", f"{kind[0].lower()}{kind[1:]}")
    outputs: dict[str, Callable[[Scope, dict[str, Any]], str]] = {
        "etag": lambda s, _: s.session.fresh(),
        "arn": lambda s, _: s.arn("cloudfront", f"{path}/{s.id}", region=""),
    }
    return Row(
        token=f"aws:cloudfront/{kind[0].lower()}{kind[1:]}:{kind}",
        service="cloudfront",
        create=Call(method, auto=False),
        id=lambda s, _: s.session.fresh(32),
        store=True,
        outputs={name: outputs[name] for name in told},
        guards=(_unused,),
        why="kept beside moto: SDK types are checked, CloudFront's nested config structure is not",
        **more,
    )


ROWS = (
    Row(
        token=_DISTRIBUTION,
        service="cloudfront",
        create=Call("create_distribution", auto=False),
        id=lambda s, _: "E" + s.session.fresh(13).upper(),
        store=True,
        why="CloudFront's configuration nests otherwise than the provider's: checked by the SDK's types, and that "
        "origins, groups, policies, certificate and web ACL fit",
        outputs={
            "arn": lambda s, _: s.arn("cloudfront", f"distribution/{s.id}", region=""),
            "domainName": lambda s, _: f"d{s.id[1:].lower()}.cloudfront.net",
            "hostedZoneId": lambda s, _: _ZONE,
            "status": lambda s, _: "Deployed",
            "etag": lambda s, _: s.session.fresh(),
        },
        checks=(_origins, _patterns, _abroad, _cached),
        needs=(_policies,),
        name=None,
    ),
    *(
        _policy(kind, method, *told)
        for kind, method, *told in (
            ("OriginAccessControl", "create_origin_access_control", "etag", "arn"),
            ("ResponseHeadersPolicy", "create_response_headers_policy", "etag", "arn"),
            ("CachePolicy", "create_cache_policy", "etag", "arn"),
            ("OriginRequestPolicy", "create_origin_request_policy", "etag", "arn"),
            ("VpcOrigin", "create_vpc_origin", "etag", "arn"),
            ("KeyGroup", "create_key_group", "etag"),
            ("PublicKey", "create_public_key", "etag"),
            ("RealtimeLogConfig", "create_realtime_log_config", "arn"),
        )
    ),
    _policy("KeyValueStore", "create_key_value_store", "etag", "arn", path="key-value-store"),
    _policy("Function", "create_function", "etag", "arn", checks=(_code,)),
)
