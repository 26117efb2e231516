"""The image repositories of the services: what is pushed is scanned, encrypted and never overwritten.

Deployments name images by digest; a tag is for people. Old images expire, except those that carry a release tag: every
digest that a release record names keeps one. Images of others come through a cache of this account, so that a registry
that is down, or that counts pulls, stops no new node in the midst of a sale.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pulumi
from pulumi_aws import ecr

from components import encryption, iam
from components.context import Context

# Builds of branches stay this long; releases stay.
_UNTAGGED_DAYS, _BUILDS_KEPT = 14, 200
RELEASE_PREFIX = "release-"
# Registries that ask for no login, by the prefix under which their images are kept here (ECR User Guide, "Creating a
# pull through cache rule").
UPSTREAMS = {"ecr-public": "public.ecr.aws", "kubernetes": "registry.k8s.io", "quay": "quay.io"}

_ACCOUNT = re.compile(r"[0-9]{12}")
# Pulling by digest, signatures and bills of materials with it (ECR User Guide, "Private repository policies").
_PULLS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def pulled_by(partition: str, accounts: Sequence[str]) -> str:
    """The policy that lets other accounts take images from here."""
    roots = [f"arn:{partition}:iam::{account}:root" for account in accounts]
    # A repository's policy is about the repository that it is on.
    return iam.document({"Effect": "Allow", "Action": list(_PULLS), "Principal": {"AWS": roots}})


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
        self,
        name: str,
        images: Sequence[str],
        *,
        readers: Sequence[str] = (),
        context: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``readers`` are accounts that take images from here: what was tried in one is released in the other."""
        if strangers := [account for account in readers if not _ACCOUNT.fullmatch(account)]:
            raise ValueError(f"readers has {', '.join(strangers)}; an account's id has 12 digits: name each by its own")
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
            if readers:
                ecr.RepositoryPolicy(
                    f"{name}-{image}",
                    repository=repository.name,
                    policy=pulumi.Output.from_input(context.partition).apply(lambda found: pulled_by(found, readers)),
                    opts=child,
                )
            self.repository_urls[image] = repository.repository_url
        for prefix, registry in UPSTREAMS.items():
            ecr.PullThroughCacheRule(
                f"{name}-{prefix}",
                ecr_repository_prefix=f"{context.environment}/{prefix}",
                upstream_registry_url=registry,
                opts=child,
            )
        self.register_outputs({"repository_urls": self.repository_urls})
