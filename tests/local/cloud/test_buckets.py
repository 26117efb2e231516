"""Buckets live in moto with everything that configures them: boto3 sees it, and what boto3 changes is seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.engine import Workspace

Client = Callable[..., Any]
NAME = "tests-buckets"
PROGRAM = f"""
import json
from pulumi_aws import s3

bucket = s3.Bucket("bucket", bucket="{NAME}", tags={{"owner": "platform"}}, force_destroy=True)
s3.BucketPublicAccessBlock("bucket", bucket=bucket.bucket, block_public_acls=True, block_public_policy=True,
                           ignore_public_acls=True, restrict_public_buckets=True)
s3.BucketOwnershipControls("bucket", bucket=bucket.bucket, rule={{"object_ownership": "BucketOwnerEnforced"}})
versioning = s3.BucketVersioning("bucket", bucket=bucket.bucket, versioning_configuration={{"status": "Enabled"}})
s3.BucketServerSideEncryptionConfiguration("bucket", bucket=bucket.bucket, rules=[{{
    "bucket_key_enabled": True,
    "apply_server_side_encryption_by_default": {{"sse_algorithm": "aws:kms", "kms_master_key_id": "alias/aws/s3"}},
}}])
s3.BucketLifecycleConfiguration("bucket", bucket=bucket.bucket, rules=[{{
    "id": "by-age", "status": "Enabled", "filter": {{"prefix": ""}}, "expiration": {{"days": 7}},
    "noncurrent_version_expiration": {{"noncurrent_days": 7}},
    "abort_incomplete_multipart_upload": {{"days_after_initiation": 7}},
}}], opts=pulumi.ResourceOptions(depends_on=[versioning]))
s3.BucketPolicy("bucket", bucket=bucket.bucket, policy=bucket.arn.apply(lambda arn: json.dumps({{
    "Version": "2012-10-17",
    "Statement": [{{"Effect": "Deny", "Action": "s3:*", "Resource": [arn, arn + "/*"], "Principal": "*",
                   "Condition": {{"Bool": {{"aws:SecureTransport": "false"}}}}}}],
}})))
s3.BucketCorsConfiguration("bucket", bucket=bucket.bucket, cors_rules=[{{
    "allowed_methods": ["GET"], "allowed_origins": ["https://example.com"],
}}])
s3.BucketObjectv2("pointer", bucket=bucket.bucket, key="current", content="release-1")
"""


def test_a_bucket_and_all_that_configures_it_live_in_moto(workspace: Workspace, client: Client) -> None:
    workspace.program(PROGRAM)
    made = workspace.up()
    assert made.steps == {"create": 10}, made.output
    s3 = client("s3")
    assert s3.get_object(Bucket=NAME, Key="current")["Body"].read() == b"release-1"
    assert s3.get_bucket_versioning(Bucket=NAME)["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"][0]["Expiration"] == {"Days": 7}
    assert json.loads(s3.get_bucket_policy(Bucket=NAME)["Policy"])["Statement"][0]["Effect"] == "Deny"
    assert s3.get_public_access_block(Bucket=NAME)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]
    assert s3.get_bucket_cors(Bucket=NAME)["CORSRules"][0]["AllowedMethods"] == ["GET"]
    assert s3.get_bucket_tagging(Bucket=NAME)["TagSet"] == [{"Key": "owner", "Value": "platform"}]

    again = workspace.up()
    assert set(again.steps) == {"same"}, again.output

    s3.delete_bucket_policy(Bucket=NAME)
    mended = workspace.up("--refresh")
    assert mended.steps["create"] == 1, mended.output
    assert s3.get_bucket_policy(Bucket=NAME)["Policy"]

    gone = workspace.destroy()
    assert gone.ok, gone.output
    assert NAME not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
