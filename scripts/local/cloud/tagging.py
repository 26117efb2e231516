"""Tags: how each service writes and lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jmespath

from scripts.local.cloud import answers, sdk
from scripts.local.cloud.plan import tagged_at_creation
from scripts.local.cloud.session import CloudError
from scripts.local.cloud.table import Row, Scope


@dataclass(frozen=True, slots=True)
class Tagging:
    """The calls of one service; ``resource`` is the parameter that names whom, ``pairs`` whether tags are key/value
    pairs.
    """

    write: str
    remove: str
    list: str
    resource: str
    tags: str = "Tags"
    keys: str = "TagKeys"
    pairs: bool = True
    at: str = "Tags"
    many: bool = False
    spelling: tuple[str, str] = ("Key", "Value")


_ARN = Tagging("tag_resource", "untag_resource", "list_tags_for_resource", "ResourceArn")
_MAP = Tagging(
    "tag_resource", "untag_resource", "list_tags_for_resource", "resourceArn", "tags", "tagKeys", False, "tags"
)

SERVICES: Mapping[str, Tagging] = {
    "ec2": Tagging("create_tags", "delete_tags", "describe_tags", "Resources", many=True),
    "sqs": Tagging("tag_queue", "untag_queue", "list_queue_tags", "QueueUrl", pairs=False),
    "sns": _ARN,
    "secretsmanager": Tagging("tag_resource", "untag_resource", "describe_secret", "SecretId"),
    "kms": Tagging("tag_resource", "untag_resource", "list_resource_tags", "KeyId", spelling=("TagKey", "TagValue")),
    "rds": Tagging(
        "add_tags_to_resource", "remove_tags_from_resource", "list_tags_for_resource", "ResourceName", at="TagList"
    ),
    "elasticache": Tagging(
        "add_tags_to_resource", "remove_tags_from_resource", "list_tags_for_resource", "ResourceName", at="TagList"
    ),
    "stepfunctions": Tagging(
        "tag_resource",
        "untag_resource",
        "list_tags_for_resource",
        "resourceArn",
        "tags",
        "tagKeys",
        True,
        "tags",
        spelling=("key", "value"),
    ),
    "logs": _MAP,
    "eks": _MAP,
    "ecr": Tagging(
        "tag_resource", "untag_resource", "list_tags_for_resource", "resourceArn", "tags", "tagKeys", True, "tags"
    ),
    "elbv2": Tagging(
        "add_tags", "remove_tags", "describe_tags", "ResourceArns", at="TagDescriptions[0].Tags", many=True
    ),
    "lambda": Tagging("tag_resource", "untag_resource", "list_tags", "Resource", "Tags", "TagKeys", False),
    "cloudwatch": Tagging("tag_resource", "untag_resource", "list_tags_for_resource", "ResourceARN"),
    "events": Tagging("tag_resource", "untag_resource", "list_tags_for_resource", "ResourceARN"),
    "wafv2": Tagging(
        "tag_resource", "untag_resource", "list_tags_for_resource", "ResourceARN", at="TagInfoForResource.TagList"
    ),
    "dynamodb": Tagging("tag_resource", "untag_resource", "list_tags_of_resource", "ResourceArn"),
    "acm": Tagging(
        "add_tags_to_certificate",
        "remove_tags_from_certificate",
        "list_tags_for_certificate",
        "CertificateArn",
        keys="Tags",
    ),
    "backup": Tagging("tag_resource", "untag_resource", "list_tags", "ResourceArn", "Tags", "TagKeyList", False),
    "guardduty": _MAP,
    "cloudfront": Tagging(
        "tag_resource", "untag_resource", "list_tags_for_resource", "Resource", "Tags", "TagKeys", True, "Tags.Items"
    ),
    "mq": Tagging("create_tags", "delete_tags", "list_tags", "ResourceArn", "Tags", "TagKeys", False),
    "firehose": Tagging(
        "tag_delivery_stream", "untag_delivery_stream", "list_tags_for_delivery_stream", "DeliveryStreamName"
    ),
    "config": _ARN,
    "pipes": _MAP,
    "scheduler": _ARN,
    "codebuild": _ARN,
}


def _call(service: str, row: Row, scope: Scope, method: str, **parameters: Any) -> dict[str, Any]:
    tagging = SERVICES[service]
    whom = scope[row.tag_key] or scope.id
    return scope.call(service, method, **{tagging.resource: [whom] if tagging.many else whom}, **parameters)


def _written(tagging: Tagging, tags: Mapping[str, Any]) -> Any:
    if not tagging.pairs:
        items: Any = dict(tags)
    else:
        key, value = tagging.spelling
        items = [{key: name, value: text} for name, text in tags.items()]
    return {"Items": items} if tagging.at == "Tags.Items" else items


def _tagged(row: Row) -> bool:
    return "tagsAll" in sdk.model(row.token).outputs and (row.service in SERVICES or row.service in _SPECIAL)


def write_after_create(row: Row, scope: Scope, tags: Mapping[str, Any]) -> None:
    """Tag what create could not tag itself."""
    if tags and _tagged(row) and not tagged_at_creation(row):
        update(row, scope, {}, tags)


def update(row: Row, scope: Scope, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Remove the tags that went and write those that came or changed."""
    if not _tagged(row):
        return
    gone = [key for key in old if key not in new]
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    if row.service in _SPECIAL:
        if gone or changed:
            _SPECIAL[row.service].write(row, scope, gone, changed, new)
        return
    tagging = SERVICES[row.service]
    if gone:
        if row.service in ("ec2", "acm"):
            _call(row.service, row, scope, tagging.remove, Tags=[{"Key": key} for key in gone])
        elif row.service == "cloudfront":
            _call(row.service, row, scope, tagging.remove, TagKeys={"Items": gone})
        else:
            _call(row.service, row, scope, tagging.remove, **{tagging.keys: gone})
    if changed:
        _call(row.service, row, scope, tagging.write, **{tagging.tags: _written(tagging, changed)})


def read(row: Row, scope: Scope, found: Mapping[str, Any]) -> dict[str, str] | None:
    """The tags that AWS reports now; None when it cannot say."""
    inline = next((found[key] for key in ("Tags", "tags", "TagList", "TagSet") if found.get(key)), None)
    if inline is not None:
        return answers.pairs(inline)
    if not _tagged(row):
        return None
    try:
        if row.service in _SPECIAL:
            special: dict[str, str] | None = _SPECIAL[row.service].read(row, scope)
            return special
        tagging = SERVICES[row.service]
        if row.service == "ec2":
            answer = scope.call("ec2", "describe_tags", Filters=[{"Name": "resource-id", "Values": [scope.id]}])
        else:
            answer = _call(row.service, row, scope, tagging.list)
    except (CloudError, NotImplementedError):
        return None
    return answers.pairs(jmespath.search(tagging.at, answer) or [])


class _Iam:
    """IAM names the kind of the resource in the call."""

    _KINDS: ClassVar = {
        "aws:iam/role:Role": ("role", "RoleName", "name"),
        "aws:iam/policy:Policy": ("policy", "PolicyArn", "arn"),
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider": (
            "open_id_connect_provider",
            "OpenIDConnectProviderArn",
            "arn",
        ),
        "aws:iam/instanceProfile:InstanceProfile": ("instance_profile", "InstanceProfileName", "name"),
        "aws:iam/user:User": ("user", "UserName", "name"),
    }

    def write(
        self, row: Row, scope: Scope, gone: list[str], changed: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        if row.token not in self._KINDS:
            return
        kind, parameter, source = self._KINDS[row.token]
        if gone:
            scope.call("iam", f"untag_{kind}", **{parameter: scope[source]}, TagKeys=gone)
        if changed:
            pairs = [{"Key": key, "Value": value} for key, value in changed.items()]
            scope.call("iam", f"tag_{kind}", **{parameter: scope[source]}, Tags=pairs)

    def read(self, row: Row, scope: Scope) -> dict[str, str] | None:
        if row.token not in self._KINDS:
            return None
        kind, parameter, source = self._KINDS[row.token]
        return answers.pairs(scope.call("iam", f"list_{kind}_tags", **{parameter: scope[source]})["Tags"])


class _S3:
    """S3 writes the whole set of a bucket's tags."""

    def write(
        self, row: Row, scope: Scope, gone: list[str], changed: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        pairs = [{"Key": key, "Value": value} for key, value in new.items()]
        if row.token in ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"):
            scope.call("s3", "put_bucket_tagging", Bucket=scope.id, Tagging={"TagSet": pairs})

    def read(self, row: Row, scope: Scope) -> dict[str, str] | None:
        if row.token not in ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"):
            return None
        return answers.pairs(scope.call("s3", "get_bucket_tagging", Bucket=scope.id)["TagSet"])


class _Ssm:
    """SSM and Route 53 name the kind of the resource as a parameter."""

    def __init__(self, service: str, whom: dict[str, str], add: tuple[str, str], remove: str, at: str) -> None:
        self._service, self._whom, self._add, self._remove, self._at = service, whom, add, remove, at

    def _target(self, scope: Scope) -> dict[str, str]:
        return {key: scope.id if value == "id" else value for key, value in self._whom.items()}

    def write(
        self, row: Row, scope: Scope, gone: list[str], changed: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        target = self._target(scope)
        pairs = [{"Key": key, "Value": value} for key, value in changed.items()]
        if self._service == "route53":
            both = {"AddTags": pairs, "RemoveTagKeys": gone}
            scope.call("route53", "change_tags_for_resource", **target, **{k: v for k, v in both.items() if v})
            return
        if gone:
            scope.call(self._service, "remove_tags_from_resource", **target, TagKeys=gone)
        if pairs:
            scope.call(self._service, "add_tags_to_resource", **target, Tags=pairs)

    def read(self, row: Row, scope: Scope) -> dict[str, str] | None:
        answer = scope.call(self._service, "list_tags_for_resource", **self._target(scope))
        return answers.pairs(jmespath.search(self._at, answer) or [])


_SPECIAL: Mapping[str, Any] = {
    "iam": _Iam(),
    "s3": _S3(),
    "ssm": _Ssm("ssm", {"ResourceType": "Parameter", "ResourceId": "id"}, ("", ""), "", "TagList"),
    "route53": _Ssm("route53", {"ResourceType": "hostedzone", "ResourceId": "id"}, ("", ""), "", "ResourceTagSet.Tags"),
}
