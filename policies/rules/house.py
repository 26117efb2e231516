"""Rules of the house: owners of what is made, and images from where we look at them."""

from __future__ import annotations

import json
from typing import Any

from policies.checks import Judged, Properties, matching
from policies.kit import rule
from policies.pods import each

_TAGS = ("CostCenter", "Environment", "Owner", "Project")
_REGISTRIES = r"^(\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/|docker\.io/|quay\.io/|public\.ecr\.aws/)"
_OURS = "123456789012.dkr.ecr.eu-west-3.amazonaws.com/booking"


def tagged_by_default(props: Properties) -> str | None:
    """The provider writes these on all it makes; a provider is given its maps as JSON."""
    given: Any = props.get("defaultTags") or {}
    tags = (json.loads(given) if isinstance(given, str) else given).get("tags") or {}
    lacking = [name for name in _TAGS if not tags.get(name)]
    return f"defaultTags.tags lacks {', '.join(lacking)}, it must have {', '.join(_TAGS)}" if lacking else None


RULES = [
    rule(
        "tags-by-default",
        ("HOUSE Tagging", "SH MQ.4"),
        Judged(
            path="defaultTags",
            judge=tagged_by_default,
            good={"defaultTags": json.dumps({"tags": dict.fromkeys(_TAGS, "x")})},
            bad=({"defaultTags": {"tags": {"Owner": "x"}}},),
            remedy="Add the tag to the provider's defaultTags",
            absent_is_fine=False,
        ),
        types=("pulumi:providers:aws",),
    ),
    rule(
        "image-from-known-registry",
        "HOUSE REGISTRY",
        each(
            matching(
                "image",
                _REGISTRIES,
                _OURS,
                "ghcr.io/somebody/image",
                wanted="from our own registry or one that it mirrors",
            )
        ),
    ),
]
