"""The image repositories of the services: what is pushed is scanned, encrypted and never overwritten.

Deployments name images by digest; a tag is for people. Old images expire, except those that carry a release tag: every
digest that a release record names keeps one. Images of others come through a cache of this account, so that a registry
that is down, or that counts pulls, stops no new node in the midst of a sale.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi
from pulumi_aws import ecr

from components import encryption
from components.context import Context

# Builds of branches stay this long; releases stay.
_UNTAGGED_DAYS, _BUILDS_KEPT = 14, 200
RELEASE_PREFIX = "release-"
# Registries that ask for no login, by the prefix under which their images are kept here (ECR User Guide, "Creating a
# pull through cache rule").
UPSTREAMS = {"ecr-public": "public.ecr.aws", "kubernetes": "registry.k8s.io", "quay": "quay.io"}


def lifecycle_policy() -> str:
    """Which images ECR removes by itself; the first rule that selects an image decides (ECR User Guide)."""
    rules = [
        ("releases stay", {"tagStatus": "tagged", "tagPrefixList": [RELEASE_PREFIX], "countNumber": 9999}),
        ("pieces of failed pushes", {"tagStatus": "untagged", "countNumber": _UNTAGGED_DAYS}),
        ("old builds", {"tagStatus": "tagged", "tagPrefixList": ["build-"], "countNumber": _BUILDS_KEPT}),
    ]
    return json.dumps(
        {
            "rules": [
                {
                    "rulePriority": number,
                    "description": about,
                    "selection": {
                        **selection,
                        **(
                            {"countType": "sinceImagePushed", "countUnit": "days"}
                            if selection["tagStatus"] == "untagged"
                            else {"countType": "imageCountMoreThan"}
                        ),
                    },
                    "action": {"type": "expire"},
                }
                for number, (about, selection) in enumerate(rules, start=1)
            ]
        }
    )


class Registry(pulumi.ComponentResource):
    """One ECR repository for each image."""

    repository_urls: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, images: Sequence[str], *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:registry:Registry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = encryption.key(name, context=context, purpose="Container images", opts=child)
        self.repository_urls = {}
        for image in images:
            repository = ecr.Repository(
                f"{name}-{image}",
                # Pipelines push to it by name.
                name=f"{context.environment}/{image}",
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
                encryption_configurations=[
                    ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=key.arn)
                ],
                force_delete=not context.production,
                tags=context.tags(name),
                opts=context.keep(child),
            )
            ecr.LifecyclePolicy(f"{name}-{image}", repository=repository.name, policy=lifecycle_policy(), opts=child)
            self.repository_urls[image] = repository.repository_url
        for prefix, registry in UPSTREAMS.items():
            ecr.PullThroughCacheRule(
                f"{name}-{prefix}",
                ecr_repository_prefix=f"{context.environment}/{prefix}",
                upstream_registry_url=registry,
                opts=child,
            )
        self.register_outputs({"repository_urls": self.repository_urls})
