"""Whose image a container names: ours, which is in the image store, or somebody else's, which never runs here."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.local.kubernetes.images import Image, load

# Host names of private ECR registries: https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_OURS = re.compile(r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.(amazonaws\.com|localhost\.localstack\.cloud)(:\d+)?/")
# Repositories that a pull-through cache fills hold other people's images.
_CACHED = re.compile(r"^[^/]+/(docker-hub|ecr-public|ghcr|github|k8s|kubernetes|quay)/")

_STAND_INS = {
    "external-secrets": "the platform's own external-secrets loop stands for it",
    "reloader": "the platform's own external-secrets loop restarts what carries the reloader's annotation",
    "postgres": "a real PostgreSQL server of the local platform stands for it",
    "redis": "a real Redis server of the local platform stands for it",
    "valkey": "a real Redis server of the local platform stands for it",
    "rabbitmq": "a real RabbitMQ server of the local platform stands for it",
    "keycloak": "the local platform's own issuer of tokens stands for it",
    "prometheus": "a real Prometheus of the local platform stands for it, where one was started",
}


class NotPullable(Exception):
    """An image of ours that is not in the store, or whose reference does not say which content is meant."""


class NotRunLocally(Exception):
    """A foreign image."""


def find(reference: str, store: Path) -> Image:
    """The image that ``reference`` names. Raises NotPullable or NotRunLocally."""
    _, _, digest = reference.partition("@")
    if digest and (image := load(store, digest)):
        return image
    if not _OURS.match(reference) or _CACHED.match(reference):
        raise NotRunLocally(f"{reference} is not an image of this repository: {stand_in(reference)}")
    if not digest:
        raise NotPullable(f"{reference}: an image of ours must be named by digest (…@sha256:…)")
    raise NotPullable(f"{reference} is not in the image store {store}; build and push it again")


def stand_in(reference: str) -> str:
    """Which real part of the local platform stands for a foreign image, if any does."""
    for word, text in _STAND_INS.items():
        if word in reference.lower():
            return text
    return "nothing stands for it locally"
