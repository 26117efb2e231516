"""Rules for what is stored: buckets, images, tables, recovery points."""

from __future__ import annotations

from policies.checks import (
    Check,
    is_true,
    matching,
    none_of,
    not_false,
    not_matching,
    not_true,
    one_of,
    present,
)
from policies.documents import forbids, grants, not_public, principals
from policies.kit import Rule, rule, stack_rule
from policies.stacks import Companion, Resources, fulfils, linked, of

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
_ACL = ("aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketAclV2:BucketAclV2")
_REPOSITORY = "aws:ecr/repository:Repository"
_TABLE = "aws:dynamodb/table:Table"
_FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_TAKING_OVER = (
    "s3:deletebucketpolicy",
    "s3:putbucketacl",
    "s3:putbucketpolicy",
    "s3:putencryptionconfiguration",
    "s3:putobjectacl",
)
_PUBLIC_ACLS = ("public-read", "public-read-write", "authenticated-read")


def both(name: str) -> tuple[str, ...]:
    """A type that is a property of a bucket, under both of its tokens."""
    first = name[0].lower() + name[1:]
    return f"aws:s3/{first}:{name}", f"aws:s3/{first}V2:{name}V2"


def beside(name: str, ids: str, by: tuple[str, ...], *checks: Check, says: str, remedy: str) -> Rule:
    """A rule that each bucket has what stands beside it."""
    check = Companion(of=BUCKETS, by=by, link="bucket", checks=checks, says=says)
    return stack_rule(name, ids, check, types=check.types, remedy=remedy)


def origins_exist(resources: Resources) -> dict[str, str]:
    """An origin that is a bucket of somebody else can be taken over when it goes."""
    foreign = not_matching("origins[].domainName", r"\.s3\.", "site.s3.eu-west-3.amazonaws.com", wanted="no bucket")
    return {
        one.urn: f"{one.name}: origins name a bucket that is not of this stack, they must name one that is"
        for one in of(resources, "aws:cloudfront/distribution:Distribution")
        if not fulfils(one, (foreign,)) and not any(each.resource_type in BUCKETS for each in linked(one, "origins"))
    }


RULES = [
    rule("bucket-not-public", ("FSBP S3.2", "FSBP S3.3"), none_of("acl", *_PUBLIC_ACLS), types=(*BUCKETS, *_ACL)),
    rule("bucket-policy-not-public", ("FSBP S3.2", "FSBP S3.3"), not_public(), types=(_POLICY,)),
    beside(
        "bucket-tls-only",
        "FSBP S3.5",
        (_POLICY,),
        matching(
            "policy",
            '"aws:SecureTransport": ?"false"',
            '{"aws:SecureTransport": "false"}',
            "{}",
            wanted="a policy that denies aws:SecureTransport false",
        ),
        says="policy is absent or allows plain HTTP, it must deny aws:SecureTransport false",
        remedy="Deny s3:* where aws:SecureTransport is false",
    ),
    rule(
        "bucket-not-taken-over",
        "FSBP S3.6",
        forbids(
            lambda one: (
                f".Action is {found}, it must not be granted to other accounts"
                if (found := grants(one, *_TAKING_OVER)) and any("arn:aws:iam::" in who for who in principals(one))
                else None
            ),
            remedy="Leave the policy, the ACL and the encryption of a bucket to its own account",
            good={"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::210987654321:root"}, "Action": "s3:GetObject"},
            bad={
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
                "Action": "s3:PutBucketPolicy",
            },
        ),
    ),
    beside(
        "bucket-closed-to-public",
        "FSBP S3.8",
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",),
        *(is_true(flag) for flag in _FLAGS),
        says="its public access block is absent or open, all four flags must be true",
        remedy="Declare a BucketPublicAccessBlock with all four flags",
    ),
    beside(
        "bucket-without-acls",
        "FSBP S3.12",
        ("aws:s3/bucketOwnershipControls:BucketOwnershipControls",),
        one_of("rule.objectOwnership", "BucketOwnerEnforced"),
        says="its ownership controls are absent or allow ACLs, objectOwnership must be BucketOwnerEnforced",
        remedy="Declare BucketOwnershipControls with BucketOwnerEnforced",
    ),
    beside(
        "bucket-tidied",
        "FSBP S3.13",
        both("BucketLifecycleConfiguration"),
        one_of("rules[].status", "Enabled"),
        says="it has no lifecycle, it must have one",
        remedy="Declare a BucketLifecycleConfiguration that ends unfinished uploads and old versions",
    ),
    rule("access-point-closed", "FSBP S3.19", not_false("publicAccessBlockConfiguration.blockPublicPolicy")),
    rule("multi-region-point-closed", "FSBP S3.24", not_false("details.publicAccessBlock.blockPublicPolicy")),
    beside(
        "bucket-versioned",
        "CKV CKV_AWS_21",
        both("BucketVersioning"),
        one_of("versioningConfiguration.status", "Enabled"),
        says="its versioning is absent or off, versioningConfiguration.status must be Enabled",
        remedy="Declare BucketVersioning that is Enabled",
    ),
    beside(
        "bucket-own-key",
        "CKV CKV_AWS_145",
        both("BucketServerSideEncryptionConfiguration"),
        one_of("rules[].applyServerSideEncryptionByDefault.sseAlgorithm", "aws:kms", "aws:kms:dsse"),
        present("rules[].applyServerSideEncryptionByDefault.kmsMasterKeyId"),
        says="its encryption is absent or not by a key of ours, sseAlgorithm must be aws:kms",
        remedy="Encrypt by aws:kms with a key of ours and a bucket key",
    ),
    rule("bucket-kept", "HOUSE S3-destroy", not_true("forceDestroy"), resilience=True),
    stack_rule(
        "origin-bucket-exists",
        "FSBP CloudFront.12",
        origins_exist,
        types=("aws:cloudfront/distribution:Distribution", *BUCKETS),
        remedy="Take the domain name from the bucket",
    ),
    rule(
        "image-scanned",
        "FSBP ECR.1",
        is_true("imageScanningConfiguration.scanOnPush"),
        types=(_REPOSITORY,),
        mends=True,
    ),
    rule(
        "image-tags-immutable",
        "FSBP ECR.2",
        one_of("imageTagMutability", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"),
        remedy="Set imageTagMutability to IMMUTABLE",
    ),
    stack_rule(
        "images-tidied",
        "FSBP ECR.3",
        Companion(
            of=(_REPOSITORY,),
            by=("aws:ecr/lifecyclePolicy:LifecyclePolicy",),
            link="repository",
            says="it has no lifecycle policy, it must have one",
        ),
        types=(_REPOSITORY, "aws:ecr/lifecyclePolicy:LifecyclePolicy"),
        remedy="Declare a LifecyclePolicy for it",
    ),
    rule("images-own-key", "CKV CKV_AWS_136", one_of("encryptionConfigurations[].encryptionType", "KMS", "KMS_DSSE")),
    rule("images-not-public", "CKV CKV_AWS_32", not_public()),
    rule("table-recoverable", "FSBP DynamoDB.2", is_true("pointInTimeRecovery.enabled")),
    rule("table-kept", "FSBP DynamoDB.6", is_true("deletionProtectionEnabled"), resilience=True),
    rule("table-scales", "FSBP DynamoDB.1", one_of("billingMode", "PAY_PER_REQUEST"), types=(_TABLE,)),
    rule("vault-own-key", "FSBP Backup.1", present("kmsKeyArn")),
    rule("vault-kept", "FSBP Backup.1", not_true("forceDestroy"), resilience=True),
    rule("volume-encrypted", "FSBP EC2.3", is_true("encrypted")),
]
