"""ECR."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.backend import Refused
from scripts.local.cloud.table import Call, Row, Scope, by


def _empty(scope: Scope) -> None:
    if not scope.get("forceDelete"):
        images = scope.call("ecr", "list_images", repositoryName=scope.id)["imageIds"]
        if images:
            raise Refused(
                "",
                f"RepositoryNotEmptyException: {scope.id} holds {len(images)} images; set forceDelete or delete them",
            )


def _policy(name: str, kind: str, **more: Any) -> Row:
    return Row(
        token=f"aws:ecr/{kind[0].lower()}{kind[1:]}:{kind}",
        service="ecr",
        upsert=True,
        id="inputs.repository",
        names={"repository": "repositoryName"},
        outputs={"policy": name, "registryId": lambda s, _: s.session.account},
        replaces=("repository",),
        mutable=("policy",),
        name=None,
        **more,
    )


def _registry(scope: Scope, _: dict[str, Any]) -> str:
    return scope.session.account


ROWS = (
    Row(
        token="aws:ecr/repository:Repository",
        service="ecr",
        create=Call("create_repository"),
        id="repository.repositoryName",
        read=by("describe_repositories", {"repositoryNames": ["id"]}),
        at="repositories[0]",
        update=(
            Call("put_image_tag_mutability", {"repositoryName": "id"}, when=("imageTagMutability",)),
            Call("put_image_scanning_configuration", {"repositoryName": "id"}, when=("imageScanningConfiguration",)),
        ),
        delete=by("delete_repository", {"repositoryName": "id", "force": "forceDelete"}),
        names={
            "name": "repositoryName",
            "arn": "repositoryArn",
            "encryptionConfigurations": "encryptionConfiguration",
            "repositoryUrl": "repositoryUri",
        },
        defaults={"imageTagMutability": "MUTABLE", "forceDelete": False},
        replaces=("encryptionConfigurations",),
        longest=256,
        guards=(_empty,),
    ),
    _policy(
        "lifecyclePolicyText",
        "LifecyclePolicy",
        create=Call("put_lifecycle_policy", {"lifecyclePolicyText": "policy"}),
        read=by("get_lifecycle_policy", {"repositoryName": "id"}),
        delete=by("delete_lifecycle_policy", {"repositoryName": "id"}),
    ),
    _policy(
        "policyText",
        "RepositoryPolicy",
        create=Call("set_repository_policy", {"policyText": "policy"}),
        read=by("get_repository_policy", {"repositoryName": "id"}),
        delete=by("delete_repository_policy", {"repositoryName": "id"}),
    ),
    Row(
        token="aws:ecr/registryPolicy:RegistryPolicy",
        service="ecr",
        create=Call("put_registry_policy", {"policyText": "policy"}),
        upsert=True,
        id=_registry,
        read=by("get_registry_policy"),
        delete=by("delete_registry_policy"),
        outputs={"policy": "policyText"},
        mutable=("policy",),
        name=None,
    ),
    Row(
        token="aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
        service="ecr",
        create=Call("create_pull_through_cache_rule"),
        id="inputs.ecrRepositoryPrefix",
        outputs={"registryId": _registry},
        mutable=("credentialArn",),
        name=None,
    ),
    Row(
        token="aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration",
        service="ecr",
        create=Call("put_registry_scanning_configuration"),
        upsert=True,
        id=_registry,
        read=by("get_registry_scanning_configuration"),
        at="scanningConfiguration",
        outputs={"registryId": _registry, "rules": lambda s, _: None},
        mutable=("rules", "scanType"),
        name=None,
    ),
    Row(
        token="aws:ecr/replicationConfiguration:ReplicationConfiguration",
        service="ecr",
        create=Call("put_replication_configuration"),
        upsert=True,
        id=_registry,
        read=by("describe_registry"),
        outputs={"registryId": _registry},
        mutable=("replicationConfiguration",),
        name=None,
    ),
    Row(
        token="aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate",
        service="ecr",
        create=Call("create_repository_creation_template"),
        id="inputs.prefix",
        outputs={"registryId": _registry},
        mutable=(
            "description",
            "appliedFors",
            "imageTagMutability",
            "lifecyclePolicy",
            "repositoryPolicy",
            "resourceTags",
        ),
        name=None,
    ),
)
