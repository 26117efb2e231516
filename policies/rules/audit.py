"""Rules for what is recorded and who is told: trails, configurations, findings, logs, alarms."""

from __future__ import annotations

from policies.checks import at_least, count, is_true, matching, not_false, one_of, present
from policies.kit import Rule, rule, stack_rule
from policies.stacks import Exists

_VPC = "aws:ec2/vpc:Vpc"
_TRAIL = "aws:cloudtrail/trail:Trail"
_DETECTOR = "aws:guardduty/detector:Detector"
_FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
_RECORDER = "aws:cfg/recorder:Recorder"
_RECORDING = "aws:cfg/recorderStatus:RecorderStatus"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
_COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"


def account_has(name: str, control: str, check: Exists, remedy: str) -> Rule:
    """A rule on what an account with a network must have."""
    return stack_rule(name, control, check, types=check.types, remedy=remedy, resilience=True)


def watches(name: str, control: str, feature: str) -> Rule:
    """A rule that GuardDuty watches one more source."""
    check = Exists(
        beside=(_DETECTOR,),
        of=(_FEATURE,),
        checks=(one_of("name", feature), one_of("status", "ENABLED")),
        says=f"no feature {feature} is ENABLED, one must be",
    )
    return account_has(name, control, check, f"Declare a DetectorFeature {feature} that is ENABLED")


RULES = [
    account_has(
        "account-trail",
        "FSBP CloudTrail.1",
        Exists(
            beside=(_VPC,),
            of=(_TRAIL,),
            checks=(is_true("isMultiRegionTrail"), not_false("enableLogging"), not_false("includeGlobalServiceEvents")),
            says="the account has no trail of every Region, it must",
        ),
        "Declare a Trail of every Region",
    ),
    rule("trail-own-key", "FSBP CloudTrail.2", present("kmsKeyId")),
    rule("trail-validated", "FSBP CloudTrail.4", is_true("enableLogFileValidation"), mends=True),
    account_has(
        "account-volumes-encrypted",
        "FSBP EC2.7",
        Exists(
            beside=(_VPC,),
            of=("aws:ebs/encryptionByDefault:EncryptionByDefault",),
            checks=(not_false("enabled"),),
            says="volumes are not encrypted by default, they must be",
        ),
        "Declare EncryptionByDefault",
    ),
    account_has(
        "account-snapshots-private",
        "SH EC2.182",
        Exists(
            beside=(_VPC,),
            of=("aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess",),
            checks=(one_of("state", "block-all-sharing"),),
            says="snapshots may be shared with everybody, state must be block-all-sharing",
        ),
        "Declare SnapshotBlockPublicAccess",
    ),
    account_has(
        "account-buckets-private",
        "FSBP S3.1",
        Exists(
            beside=(_VPC,),
            of=("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock",),
            checks=tuple(
                is_true(flag)
                for flag in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
            ),
            says="the account's buckets may be made public, all four blocks must be on",
        ),
        "Declare AccountPublicAccessBlock",
    ),
    account_has(
        "account-watched",
        "FSBP GuardDuty.1",
        Exists(
            beside=(_VPC,), of=(_DETECTOR,), checks=(not_false("enable"),), says="GuardDuty is off, enable must be true"
        ),
        "Declare a Detector that is enabled",
    ),
    watches("watched-cluster-audit", "FSBP GuardDuty.5", "EKS_AUDIT_LOGS"),
    watches("watched-functions", "FSBP GuardDuty.6", "LAMBDA_NETWORK_LOGS"),
    watches("watched-databases", "FSBP GuardDuty.9", "RDS_LOGIN_EVENTS"),
    watches("watched-buckets", "FSBP GuardDuty.10", "S3_DATA_EVENTS"),
    account_has(
        "account-configurations",
        "FSBP Config.1",
        Exists(
            beside=(_VPC,),
            of=(_RECORDER,),
            checks=(is_true("recordingGroup.allSupported"),),
            says="AWS Config does not record every type, recordingGroup.allSupported must be true",
        ),
        "Declare a Recorder of all types",
    ),
    account_has(
        "account-configurations-recorded",
        "FSBP Config.1",
        Exists(
            beside=(_RECORDER,),
            of=(_RECORDING,),
            checks=(is_true("isEnabled"),),
            says="the recorder is not started, isEnabled must be true",
        ),
        "Declare a RecorderStatus that is enabled",
    ),
    rule("log-own-key", "CKV CKV_AWS_158", present("kmsKeyId")),
    rule("log-ends", "CKV CKV_AWS_66/338", at_least("retentionInDays", 1)),
    rule("log-kept", "CKV CKV_AWS_66/338", at_least("retentionInDays", 30), resilience=True),
    rule("alarm-acts", "CKV CKV_AWS_319", not_false("actionsEnabled"), types=(_ALARM, _COMPOSITE)),
    rule(
        "alarm-has-runbook",
        "CKV CKV_AWS_319",
        matching(
            "alarmDescription",
            r"runbooks?/[\w-]+\.md",
            "Bad. Runbook: runbooks/saga.md",
            "Bad.",
            wanted="a text that names its runbook",
        ),
        types=(_ALARM, _COMPOSITE),
    ),
    rule("alarm-tells-somebody", "CKV CKV_AWS_319", count("alarmActions", 1), types=(_COMPOSITE,)),
]
