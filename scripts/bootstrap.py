"""What an account needs before Pulumi can keep an environment in it: a bucket for the state and a key for its secrets.

They are made with the AWS API, because no stack can hold its own state's home. What is there already is looked at and
brought to what it must be; nothing is ever deleted, so that it is safe to run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from components import iam
from components.delivery import STATE_KEY, state_bucket

Client = Callable[[str], Any]
# Days for which an overwritten state can be brought back.
_HISTORY_DAYS = 365
_CLOSED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_RULES: Mapping[str, Any] = {
    "Rules": [
        {
            "ID": "history",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": _HISTORY_DAYS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]
}


class WrongAccount(RuntimeError):
    """The credentials are of another account than the one that was named."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do, what it is for, and how."""

    what: str
    why: str
    do: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Home:
    """Where an account keeps the state of its environment."""

    account_id: str
    region: str

    @property
    def bucket(self) -> str:
        return state_bucket(self.account_id, self.region)

    @property
    def backend(self) -> str:
        """The argument of ``pulumi login``."""
        return f"s3://{self.bucket}?region={self.region}"

    @property
    def secrets_provider(self) -> str:
        """The argument of ``pulumi stack init --secrets-provider``."""
        return f"awskms://{STATE_KEY}?region={self.region}"


def home(client: Client, region: str, *, account: str | None) -> Home:
    """Whose account the credentials are of. Raises WrongAccount unless it is ``account``, where that is given."""
    found = client("sts").get_caller_identity()["Account"]
    if account is not None and found != account:
        raise WrongAccount(f"the credentials are of account {found}, not {account}; choose another profile")
    return Home(found, region)


def plan(client: Client, where: Home) -> list[Action]:
    """What is missing, in order; empty when everything is as it must be. Only reads."""
    s3, kms, bucket = client("s3"), client("kms"), where.bucket
    actions: list[Action] = []

    def unless(holds: bool, what: str, why: str, do: Callable[[], Any]) -> None:
        if not holds:
            actions.append(Action(what, why, do))

    key = _alias(kms)
    unless(key is not None, f"key {STATE_KEY}", "encrypts the state and what is secret in it", lambda: _key(kms))
    unless(
        key is not None and kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"],
        f"yearly rotation of {STATE_KEY}",
        "an old key opens old state only",
        lambda: kms.enable_key_rotation(KeyId=_alias(kms)),
    )
    exists = _answer(s3.head_bucket, Bucket=bucket) is not None
    location = {"CreateBucketConfiguration": {"LocationConstraint": where.region}}
    unless(exists, f"bucket {bucket}", "the state of every stack", lambda: s3.create_bucket(Bucket=bucket, **location))

    def settled(read: Callable[..., Any], path: str, wanted: Any) -> bool:
        return exists and (_answer(read, Bucket=bucket) or {}).get(path) == wanted

    unless(
        settled(s3.get_bucket_versioning, "Status", "Enabled"),
        "versions of every object",
        f"a state that was overwritten can be brought back for {_HISTORY_DAYS} days",
        lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
    )
    unless(
        settled(s3.get_public_access_block, "PublicAccessBlockConfiguration", _CLOSED),
        "no public access",
        "a state tells how to attack what it describes",
        lambda: s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=_CLOSED),
    )
    unless(
        exists and STATE_KEY in json.dumps(_answer(s3.get_bucket_encryption, Bucket=bucket) or {}),
        "encryption with that key",
        "who may read the bucket still cannot read the state",
        lambda: s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=_encryption(where)),
    )
    unless(
        exists and "aws:SecureTransport" in ((_answer(s3.get_bucket_policy, Bucket=bucket) or {}).get("Policy") or ""),
        "no plain HTTP",
        "TLS only",
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy=_tls_only(bucket)),
    )
    unless(
        exists and bool((_answer(s3.get_bucket_lifecycle_configuration, Bucket=bucket) or {}).get("Rules")),
        "an end to old versions",
        f"after {_HISTORY_DAYS} days",
        lambda: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=_RULES),
    )
    return actions


def _answer(read: Callable[..., Any], **arguments: Any) -> Any:
    """What AWS answers, or None when there is no such thing yet. Other errors are raised."""
    try:
        return read(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404 or error.response["Error"]["Code"].startswith(("NoSuch", "ServerSideEncryptionConfiguration")):
            return None
        raise


def _alias(kms: Any) -> str | None:
    pages = kms.get_paginator("list_aliases").paginate()
    found = [alias for page in pages for alias in page["Aliases"] if alias["AliasName"] == STATE_KEY]
    return str(found[0]["TargetKeyId"]) if found else None


def _key(kms: Any) -> None:
    made = kms.create_key(Description="State of the event platform's stacks")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=STATE_KEY, TargetKeyId=made)


def _encryption(where: Home) -> dict[str, Any]:
    key = f"arn:aws:kms:{where.region}:{where.account_id}:{STATE_KEY}"
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}


def _tls_only(bucket: str) -> str:
    arn = f"arn:aws:s3:::{bucket}"
    return iam.document(iam.deny_plain_http(arn, "s3"), iam.deny_plain_http(f"{arn}/*", "s3"))
