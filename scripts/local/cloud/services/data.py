"""DynamoDB tables, Firehose streams and mail identities."""

from __future__ import annotations

from scripts.local.cloud.services.simple import simple
from scripts.local.cloud.table import Call, by

ROWS = (
    simple(
        "aws:dynamodb/table:Table",
        "dynamodb",
        "create_table",
        "inputs.name",
        name="name",
        params={
            "AttributeDefinitions": lambda s: [
                {"AttributeName": each["name"], "AttributeType": each["type"]} for each in s["attributes"] or []
            ],
            "KeySchema": lambda s: (
                [{"AttributeName": s["hashKey"], "KeyType": "HASH"}]
                + ([{"AttributeName": s["rangeKey"], "KeyType": "RANGE"}] if s["rangeKey"] else [])
            ),
            "BillingMode": lambda s: s.get("billingMode", "PROVISIONED"),
            "ProvisionedThroughput": lambda s: (
                None
                if s["billingMode"] == "PAY_PER_REQUEST"
                else {"ReadCapacityUnits": s.get("readCapacity", 1), "WriteCapacityUnits": s.get("writeCapacity", 1)}
            ),
            "SSESpecification": lambda s: (
                {"Enabled": s["serverSideEncryption"]["enabled"]} if s["serverSideEncryption"] else None
            ),
        },
        read=by("describe_table", {"TableName": "id"}),
        at="Table",
        after=(
            Call(
                "update_continuous_backups",
                {
                    "TableName": "id",
                    "PointInTimeRecoverySpecification": lambda s: {
                        "PointInTimeRecoveryEnabled": s["pointInTimeRecovery"]["enabled"]
                    },
                },
                when=("pointInTimeRecovery",),
                auto=False,
            ),
        ),
        delete=by("delete_table", {"TableName": "id"}),
        names={"name": "TableName", "arn": "TableArn"},
        outputs={"attributes": lambda s, _: None, "serverSideEncryption": lambda s, _: None},
        replaces=("hashKey", "rangeKey"),
        mutable=(
            "attributes",
            "billingMode",
            "readCapacity",
            "writeCapacity",
            "deletionProtectionEnabled",
            "globalSecondaryIndexes",
            "tableClass",
        ),
    ),
    simple(
        "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
        "firehose",
        "create_delivery_stream",
        "inputs.name",
        name="name",
        params={
            "ExtendedS3DestinationConfiguration": lambda s: (
                {
                    "RoleARN": s["extendedS3Configuration"]["roleArn"],
                    "BucketARN": s["extendedS3Configuration"]["bucketArn"],
                }
                if s["extendedS3Configuration"]
                else None
            )
        },
        read=by("describe_delivery_stream", {"DeliveryStreamName": "id"}),
        at="DeliveryStreamDescription",
        delete=by("delete_delivery_stream", {"DeliveryStreamName": "id"}),
        names={"name": "DeliveryStreamName", "arn": "DeliveryStreamARN"},
        tag_key="id",
        mutable=("extendedS3Configuration",),
        longest=64,
    ),
    simple(
        "aws:sesv2/emailIdentity:EmailIdentity",
        "sesv2",
        "create_email_identity",
        "inputs.emailIdentity",
        store=True,
        outputs={"arn": lambda s, _: s.arn("ses", f"identity/{s.id}")},
    ),
)
