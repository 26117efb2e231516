"""Bring an environment to other images: all that belongs to a release moves in one update, or nothing does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from scripts import guard
from scripts.deployment import Deployment, Say


def deploy(
    deployment: Deployment, images: Mapping[str, str], say: Say, *, apply: bool, allowed: Sequence[str] = ()
) -> Mapping[str, int]:
    """Write the digests in ``images`` into the stack file, plan under every policy, and with ``apply`` make it so.

    Without it the stack file is as it was in the end. Returns resources by operation. Raises Refused and Failed.
    """
    before = deployment.file.read_bytes()
    try:
        deployment.use_images(images)
        if apply:
            return guard.up(deployment, say, allowed=allowed)
        return Counter(step.operation for step in guard.plan(deployment, say, allowed=allowed).steps)
    finally:
        if not apply:
            deployment.file.write_bytes(before)
