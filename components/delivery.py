"""What pipelines may do in an account: GitHub's workflows take a role by OIDC, and no key is kept anywhere.

Two roles: one plans (it reads, and works with the state), one applies, and neither can be taken by a workflow that was
not named. It refuses a subject with a wildcard, a subject of another repository, and one that is named for both: a pull
request from anybody must never end in the role that applies. Both live below a boundary that the role which applies
cannot change: no users, no access keys, no Region but those of the environment, no hand on these roles themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import iam as aws_iam

from components import iam
from components.context import Context, Place

ISSUER = "token.actions.githubusercontent.com"
_AUDIENCE = "sts.amazonaws.com"
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
# Seconds: a deployment of everything takes less than an hour (IAM: 3,600 to 43,200).
_SESSION_SECONDS = 3600
# Certificates and web ACLs of CloudFront live there (CloudFront Developer Guide, "Requirements for certificates").
_GLOBAL_REGION = "us-east-1"
# Services without Regions: a condition on the Region would stop them (IAM User Guide, "aws:RequestedRegion").
_GLOBAL_SERVICES = ("budgets:*", "cloudfront:*", "iam:*", "route53:*", "sts:*", "support:*", "wafv2:*")
STATE_KEY = "alias/event-platform-state"


def state_bucket(account_id: str, region: str) -> str:
    """The bucket of the Pulumi backend in an account."""
    return f"event-platform-state-{account_id}-{region}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryArgs:
    """``repository`` is ``owner/name`` on GitHub; subjects are claims like ``repo:owner/name:environment:prod``."""

    repository: str
    plan_subjects: Sequence[str]
    apply_subjects: Sequence[str]

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository):
            raise ValueError(f"repository is {self.repository!r}; name it as GitHub does: owner/name")
        for kind, subjects in (("plan_subjects", self.plan_subjects), ("apply_subjects", self.apply_subjects)):
            if not subjects:
                raise ValueError(
                    f"{kind} is empty; without a subject every workflow on GitHub could take the role: name one, like "
                    f"repo:{self.repository}:environment:prod"
                )
            for subject in subjects:
                if "*" in subject or "?" in subject:
                    raise ValueError(f"{kind} has {subject!r}; a wildcard lets unknown workflows in: name each exactly")
                if not subject.startswith(f"repo:{self.repository}:"):
                    raise ValueError(f"{kind} has {subject!r}; it must start with repo:{self.repository}:")
        if both := sorted(set(self.plan_subjects) & set(self.apply_subjects)):
            raise ValueError(f"{', '.join(both)} may plan and apply; a workflow takes one of the roles: name it once")


def trust(provider_arn: str, subjects: Sequence[str]) -> str:
    """Exactly these workflows, with a token that was made for AWS."""
    return iam.document(
        {
            "Effect": "Allow",
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Principal": {"Federated": provider_arn},
            "Condition": {"StringEquals": {f"{ISSUER}:aud": _AUDIENCE, f"{ISSUER}:sub": list(subjects)}},
        }
    )


def boundary(place: Place, *, recovery_region: str) -> str:
    """What no pipeline may do, whatever else allows it."""
    own = [
        f"arn:{place.partition}:iam::{place.account_id}:{kind}"
        for kind in (
            f"role/{place.environment}-delivery-*",
            f"policy/{place.environment}-delivery-*",
            f"oidc-provider/{ISSUER}",
        )
    ]
    people = (
        "iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateUser",
        "iam:PutUserPolicy", "iam:UpdateLoginProfile",
    )  # fmt: skip
    change = (
        "iam:Add*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:Put*", "iam:Remove*", "iam:Set*",
        "iam:Update*",
    )  # fmt: skip
    return iam.document(
        iam.allow(("*",), ("*",)),
        iam.deny(people, ("*",)),
        iam.deny(("account:*", "organizations:*"), ("*",)),
        iam.deny(change, own),
        {
            "Effect": "Deny",
            "NotAction": list(_GLOBAL_SERVICES),
            "Resource": ["*"],
            "Condition": {
                "StringNotEquals": {"aws:RequestedRegion": sorted({place.region, recovery_region, _GLOBAL_REGION})}
            },
        },
    )


def state_statements(place: Place) -> list[dict[str, Any]]:
    """Read and write the state, its history and its locks, and decrypt what is secret in it."""
    arn = _state(place)
    aliased = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": STATE_KEY}}
    return [
        iam.allow(("s3:GetObject", "s3:PutObject", "s3:DeleteObject"), (f"{arn}/*",)),
        iam.allow(("s3:ListBucket",), (arn,)),
        iam.allow(
            ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"),
            (place.arn("kms", "key/*"),),
            condition=aliased,
        ),
    ]


def no_data(place: Place) -> dict[str, Any]:
    """A plan looks at configurations; ReadOnlyAccess alone would read objects, messages and logs too."""
    return {
        "Effect": "Deny",
        "Action": ["s3:GetObject*", "sqs:ReceiveMessage", "logs:GetLogEvents", "logs:FilterLogEvents"],
        "NotResource": [f"{_state(place)}/*"],
    }


def _state(place: Place) -> str:
    return f"arn:{place.partition}:s3:::{state_bucket(place.account_id, place.region)}"


class Delivery(pulumi.ComponentResource):
    """The OIDC provider of GitHub, the role that plans, the role that applies, and their boundary."""

    plan_role_arn: pulumi.Output[str]
    apply_role_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: DeliveryArgs, *, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("platform:delivery:Delivery", name, None, opts)
        self._name, self._context = name, context
        self._child = pulumi.ResourceOptions(parent=self)
        self._github = aws_iam.OpenIdConnectProvider(
            name,
            url=f"https://{ISSUER}",
            client_id_lists=[_AUDIENCE],
            tags=context.tags(name),
            opts=self._child,
        )
        self._boundary = aws_iam.Policy(
            f"{name}-boundary",
            # The boundary itself names what it protects by this prefix.
            name=f"{context.environment}-{name}-boundary",
            policy=context.place.apply(lambda place: boundary(place, recovery_region=context.recovery_region)),
            tags=context.tags(name),
            opts=self._child,
        )
        plan = self._role("plan", args.plan_subjects, ("ReadOnlyAccess",))
        aws_iam.RolePolicy(
            f"{name}-plan-no-data",
            role=plan.id,
            policy=context.place.apply(lambda place: iam.document(no_data(place))),
            opts=self._child,
        )
        self.plan_role_arn = plan.arn
        self.apply_role_arn = self._role("apply", args.apply_subjects, ("PowerUserAccess", "IAMFullAccess")).arn
        self.register_outputs({"plan_role_arn": self.plan_role_arn, "apply_role_arn": self.apply_role_arn})

    def _role(self, does: str, subjects: Sequence[str], managed: Sequence[str]) -> aws_iam.Role:
        name, context = f"{self._name}-{does}", self._context
        role = aws_iam.Role(
            name,
            # Workflows name it.
            name=f"{context.environment}-{name}",
            assume_role_policy=self._github.arn.apply(lambda arn: trust(arn, subjects)),
            permissions_boundary=self._boundary.arn,
            max_session_duration=_SESSION_SECONDS,
            tags=context.tags(self._name),
            opts=self._child,
        )
        for policy in managed:
            aws_iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=role.name,
                policy_arn=context.aws_policy(policy),
                opts=self._child,
            )
        aws_iam.RolePolicy(
            f"{name}-state",
            role=role.id,
            policy=context.place.apply(lambda place: iam.document(*state_statements(place))),
            opts=self._child,
        )
        return role
