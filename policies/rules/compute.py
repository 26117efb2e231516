"""Rules for what runs on AWS: clusters, machines, functions, sagas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from policies.checks import (
    Judged,
    Properties,
    absent,
    at_most,
    count,
    includes,
    is_false,
    is_true,
    looks_secret,
    none_of,
    not_true,
    one_of,
    present,
)
from policies.kit import rule

_RUNTIMES = (
    "python3.12",
    "python3.13",
    "python3.14",
    "nodejs22.x",
    "nodejs24.x",
    "provided.al2023",
    "java21",
    "java25",
)
_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_OLDEST_KUBERNETES = (1, 33)
_TASK = ("TimeoutSeconds", "Retry", "Catch")
_A_DAY = 24 * 60 * 60


def supported(props: Properties) -> str | None:
    """Absent means whatever is newest when it is made."""
    version = props.get("version")
    if version is not None and tuple(map(int, str(version).split("."))) >= _OLDEST_KUBERNETES:
        return None
    return f"version is {version!r}, it must be 1.33 or later"


def no_credentials(props: Properties) -> str | None:
    """Values with the form of a credential; which ones is told by name, never by value."""
    variables: Mapping[str, Any] = (("environment" in props and props["environment"]) or {}).get("variables") or {}
    for name in variables:
        if looks_secret(variables[name]):
            return f"environment.variables.{name} is a credential, it must be read from Secrets Manager"
    return None


def saga_is_safe(props: Properties) -> str | None:
    """Every Task ends by itself, is tried again, and hands what fails to a state that undoes it."""
    definition = json.loads(props["definition"]) if "definition" in props else {}
    for name, state in definition.get("States", {}).items():
        if state.get("Type") == "Task":
            # A state that may take days waits for a person, who is not asked again.
            waits = state.get("TimeoutSeconds", 0) > _A_DAY
            lacking = [each for each in _TASK if each not in state and not (waits and each == "Retry")]
            if lacking:
                return f"definition.States.{name} lacks {', '.join(lacking)}, a Task must have them"
    return None


def _saga(**task: Any) -> dict[str, Any]:
    return {"definition": json.dumps({"States": {"Pay": {"Type": "Task", **task}}})}


RULES = [
    rule("machine-metadata-v2", "FSBP EC2.8", one_of("metadataOptions.httpTokens", "required"), mends=True),
    rule("machine-private", "FSBP EC2.9", not_true("associatePublicIpAddress")),
    rule("machine-one-interface", "FSBP EC2.17", count("networkInterfaces", 0, 1, absent_is_fine=True)),
    rule("template-private", "FSBP EC2.25", not_true("networkInterfaces[].associatePublicIpAddress")),
    rule("template-metadata-v2", "FSBP EC2.170", one_of("metadataOptions.httpTokens", "required"), mends=True),
    rule("template-metadata-near", "FSBP EC2.170", at_most("metadataOptions.httpPutResponseHopLimit", 2)),
    rule("template-encrypted", "FSBP EC2.181", is_true("blockDeviceMappings[].ebs.encrypted")),
    rule("group-in-two-zones", "FSBP AutoScaling.2", count("vpcZoneIdentifiers", 2), resilience=True),
    rule("group-by-template", "FSBP AutoScaling.9", absent("launchConfiguration")),
    rule(
        "cluster-endpoint-private",
        "FSBP EKS.1",
        is_false("vpcConfig.endpointPublicAccess"),
        remedy="Set vpcConfig.endpointPublicAccess to false and reach the API from inside the network",
    ),
    rule(
        "cluster-supported",
        "FSBP EKS.2",
        Judged(
            path="version",
            judge=supported,
            good={"version": "1.35"},
            bad=({"version": "1.9"},),
            absent_is_fine=False,
            remedy="Set version to one that AWS supports",
        ),
    ),
    rule("cluster-secrets-encrypted", "FSBP EKS.3", includes("encryptionConfig.resources", "secrets")),
    rule("cluster-secrets-own-key", "FSBP EKS.3", present("encryptionConfig.provider.keyArn")),
    rule("cluster-audited", "FSBP EKS.8", includes("enabledClusterLogTypes", *_LOGS)),
    rule("nodes-without-ssh", "CKV CKV_AWS_100", absent("remoteAccess.ec2SshKey")),
    rule("cluster-access-by-api", "HOUSE EKS-access", one_of("accessConfig.authenticationMode", "API")),
    rule("cluster-kept", "HOUSE EKS-access", is_true("deletionProtection"), resilience=True),
    rule("function-runtime-supported", "FSBP Lambda.2", one_of("runtime", *_RUNTIMES, absent_is_fine=True)),
    rule(
        "function-in-two-zones", "FSBP Lambda.5", count("vpcConfig.subnetIds", 2, absent_is_fine=True), resilience=True
    ),
    rule("function-url-authenticated", "CKV CKV_AWS_258", none_of("authorizationType", "NONE", absent_is_fine=False)),
    rule(
        "no-credentials-in-functions",
        "CKV CKV_AWS_45",
        Judged(
            path="environment",
            judge=no_credentials,
            remedy="Give the function the secret's ARN",
            good={"environment": {"variables": {"SECRET": "arn:aws:secretsmanager:x"}}},
            bad=({"environment": {"variables": {"KEY": "AKIA" + "A" * 16}}},),
        ),
    ),
    rule(
        "saga-logged",
        "FSBP StepFunctions.1",
        one_of("loggingConfiguration.level", "ERROR", "ALL", "FATAL"),
        remedy="Set loggingConfiguration with a level and a log group",
    ),
    rule("saga-traced", "CKV CKV_AWS_284", is_true("tracingConfiguration.enabled"), mends=True),
    rule("saga-own-key", "HOUSE SFN-cmk", one_of("encryptionConfiguration.type", "CUSTOMER_MANAGED_KMS_KEY")),
    rule(
        "saga-safe",
        "HOUSE SFN-asl",
        Judged(
            path="definition",
            judge=saga_is_safe,
            remedy="Give each Task a timeout, Retry and Catch",
            good=_saga(TimeoutSeconds=60, Retry=[], Catch=[]),
            bad=(_saga(TimeoutSeconds=60),),
        ),
    ),
]
