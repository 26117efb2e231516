"""What CloudFront keeps, passes on and adds: its cache, origin-request and response-headers policies.

| policy | for | kept | passed on |
| --- | --- | --- | --- |
| static | files of releases | as long as they say, a day by default; a new release has new names | nothing |
| shared | answers that are the same for everybody: public reads, rendered pages | as they say, a second by default, \
a minute at most | query strings, language, the host |
| private | everything else of the services | nothing | all headers, query strings, the cookies of the balancer |
| identity | the pages on which people sign in | nothing | everything; they say themselves what a browser may do |

A second is enough: a thousand buyers who look at one event are one request a second to booking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
from pulumi_aws import cloudfront

from components.context import Context

# AWS's own policy that caches nothing, which needs no copy of ours (CloudFront Developer Guide, "Use managed cache
# policies": CachingDisabled).
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
# And the one that passes everything on ("Use managed origin request policies": AllViewer).
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
# Seconds: two years, what the preload lists of browsers ask for at least is one.
_HSTS_SECONDS = 63_072_000
_DAY, _YEAR = 24 * 3600, 365 * 24 * 3600
# Which side of a canary a visitor is on: the cookies of ALB (Application Load Balancer Guide, "Sticky sessions") and
# the one by which somebody chooses.
CANARY_COOKIE = "canary"
STICKINESS = ("AWSALBTG", "AWSALBTGCORS", CANARY_COOKIE)
_NONE: Mapping[str, Any] = {"cookie_behavior": "none"}


def content_security_policy(connects: Sequence[str]) -> str:
    """What a page may load and call: its own host, ``connects``, and Stripe's fields for cards (Stripe documentation,
    "Integration security guide").
    """
    rules = {
        "default-src": ["'self'"],
        "script-src": ["'self'", "https://js.stripe.com"],
        "frame-src": ["https://js.stripe.com", "https://hooks.stripe.com"],
        "connect-src": ["'self'", "https://api.stripe.com", *connects],
        "img-src": ["'self'", "data:"],
        "style-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in rules.items())


def security_headers(policy: str | None) -> dict[str, Any]:
    """The headers that every answer has, whatever an origin says; without ``policy``, the origin says what pages do."""
    of_pages: dict[str, Any] = {
        "content_security_policy": {"content_security_policy": policy, "override": True},
        "frame_options": {"frame_option": "DENY", "override": True},
    }
    return {
        "strict_transport_security": {
            "access_control_max_age_sec": _HSTS_SECONDS,
            "include_subdomains": True,
            "preload": True,
            "override": True,
        },
        "content_type_options": {"override": True},
        "referrer_policy": {"referrer_policy": "strict-origin-when-cross-origin", "override": True},
        **(of_pages if policy else {}),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Ids: of caches and of what origins are asked; of headers by what they are for."""

    static_cache: pulumi.Output[str]
    shared_cache: pulumi.Output[str]
    shared_request: pulumi.Output[str]
    private_request: pulumi.Output[str]
    headers: Mapping[str, pulumi.Output[str]]


def make(name: str, connects: Sequence[str], *, context: Context, opts: pulumi.ResourceOptions) -> Policies:
    """All policies of one distribution, named after it and the environment: CloudFront has one list for an account."""
    prefix = f"{context.environment}-{name}"
    key = {"enable_accept_encoding_brotli": True, "enable_accept_encoding_gzip": True, "cookies_config": _NONE}
    static = cloudfront.CachePolicy(
        f"{name}-static",
        name=f"{prefix}-static",
        default_ttl=_DAY,
        max_ttl=_YEAR,
        min_ttl=1,
        parameters_in_cache_key_and_forwarded_to_origin=cast(
            Any,
            {
                **key,
                "headers_config": {"header_behavior": "none"},
                "query_strings_config": {"query_string_behavior": "none"},
            },
        ),
        opts=opts,
    )
    shared = cloudfront.CachePolicy(
        f"{name}-shared",
        name=f"{prefix}-shared",
        default_ttl=1,
        max_ttl=60,
        min_ttl=0,
        parameters_in_cache_key_and_forwarded_to_origin=cast(
            Any,
            {
                **key,
                "headers_config": {"header_behavior": "whitelist", "headers": {"items": ["Accept-Language", "Host"]}},
                "query_strings_config": {"query_string_behavior": "all"},
            },
        ),
        opts=opts,
    )
    shared_request = _request(f"{name}-shared", prefix, "shared", ["Host", "Accept"], (), opts)
    private_request = _request(f"{name}-private", prefix, "private", None, STICKINESS, opts)
    csp = content_security_policy(connects)
    headers = {
        role: cloudfront.ResponseHeadersPolicy(
            f"{name}-{role}",
            name=f"{prefix}-{role}",
            security_headers_config=cast(Any, security_headers(None if role == "identity" else csp)),
            custom_headers_config=(
                cast(Any, {"items": [{"header": "Cache-Control", "value": kept, "override": True}]}) if kept else None
            ),
            # An answer for everybody must not put everybody on one side of a canary.
            remove_headers_config=cast(Any, {"items": [{"header": "Set-Cookie"}]}) if role == "shared" else None,
            opts=opts,
        ).id
        for role, kept in (
            ("pages", "no-cache"),
            ("releases", f"public, max-age={_YEAR}, immutable"),
            ("shared", None),
            ("private", None),
            ("identity", None),
        )
    }
    return Policies(
        static_cache=static.id,
        shared_cache=shared.id,
        shared_request=shared_request,
        private_request=private_request,
        headers=headers,
    )


def _request(
    logical: str,
    prefix: str,
    role: str,
    headers: Sequence[str] | None,
    cookies: Sequence[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """What an origin is told: ``headers``, or all of the visitor's; these cookies; every query string."""
    return cloudfront.OriginRequestPolicy(
        logical,
        name=f"{prefix}-{role}",
        headers_config=cast(
            Any,
            {"header_behavior": "allViewer"}
            if headers is None
            else {"header_behavior": "whitelist", "headers": {"items": list(headers)}},
        ),
        cookies_config=cast(
            Any, {"cookie_behavior": "whitelist", "cookies": {"items": list(cookies)}} if cookies else dict(_NONE)
        ),
        query_strings_config=cast(Any, {"query_string_behavior": "all"}),
        opts=opts,
    ).id
