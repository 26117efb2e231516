"""What CloudFront does with each path, as pure functions: from which origin, by which methods, under which policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from components.edge_policies import ALL_VIEWER, CACHING_DISABLED, Policies
from components.static_site import RELEASES

READS = ("GET", "HEAD", "OPTIONS")
ALL = (*READS, "PUT", "POST", "PATCH", "DELETE")
APPLICATION, STATIC = "application", "static"
# What makes CloudFront try the second member of a group.
_FAILED = (500, 502, 503, 504)


def failover(first: str, second: str) -> dict[str, Any]:
    """The origin group of the static site. CloudFront fails over for reads alone, and refuses a group elsewhere."""
    return {
        "origin_id": STATIC,
        "failover_criteria": {"status_codes": list(_FAILED)},
        "members": [{"origin_id": first}, {"origin_id": second}],
    }


def behaviours(
    service_paths: Sequence[str],
    shared_paths: Sequence[str],
    identity_paths: Sequence[str],
    policies: Policies,
    *,
    leads: pulumi.Input[str],
) -> list[dict[str, Any]]:
    """The default first, then the others in the order in which CloudFront tries them; ``leads`` is the function."""
    static, headers = policies.static_cache, policies.headers
    return [
        _behaviour(
            STATIC,
            READS,
            static,
            headers["pages"],
            function_associations=[{"event_type": "viewer-request", "function_arn": leads}],
        ),
        _behaviour(STATIC, READS, static, headers["releases"], path_pattern=f"/{RELEASES}*"),
        *(
            _behaviour(APPLICATION, ALL, cache, headers[role], origin_request_policy_id=request, path_pattern=path)
            for role, cache, request, paths in (
                ("shared", policies.shared_cache, policies.shared_request, shared_paths),
                ("private", CACHING_DISABLED, policies.private_request, service_paths),
                ("identity", CACHING_DISABLED, ALL_VIEWER, identity_paths),
            )
            for path in paths
        ),
    ]


def _behaviour(
    target: str, methods: Sequence[str], cache: pulumi.Input[str], headers: pulumi.Input[str], **more: Any
) -> dict[str, Any]:
    """What all paths have in common: nobody is ever answered without TLS."""
    return {
        "target_origin_id": target,
        "viewer_protocol_policy": "redirect-to-https",
        "allowed_methods": list(methods),
        "cached_methods": ["GET", "HEAD"],
        "compress": True,
        "cache_policy_id": cache,
        "response_headers_policy_id": headers,
        **more,
    }
