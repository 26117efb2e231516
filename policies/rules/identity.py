"""Rules for who may do what: IAM, keys, and the policies of resources."""

from __future__ import annotations

import re

from policies.checks import at_least, is_true, never, not_false, not_matching
from policies.documents import (
    Statement,
    actions,
    allows,
    everywhere,
    forbids,
    grants,
    not_public,
    principals,
    public,
    texts,
)
from policies.kit import rule

_INLINE = ("aws:iam/rolePolicy:RolePolicy", "aws:iam/groupPolicy:GroupPolicy", "aws:iam/userPolicy:UserPolicy")
_MANAGED = "aws:iam/policy:Policy"
_ROLE = "aws:iam/role:Role"
# Where a document stands in each of the types above.
_KEYS = ("policy", "inlinePolicies")
_READS = (
    "s3:getobject",
    "secretsmanager:getsecretvalue",
    "ssm:getparameter",
    "ssm:getparameters",
    "sts:assumerole",
    "rds:deletedbinstance",
    "dynamodb:getitem",
    "sqs:receivemessage",
)
_RISES = (
    "iam:createpolicyversion",
    "iam:attachrolepolicy",
    "iam:putrolepolicy",
    "iam:passrole",
    "iam:updateassumerolepolicy",
    "iam:createaccesskey",
    "iam:setdefaultpolicyversion",
)
_GITHUB = "token.actions.githubusercontent.com"
_ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
_ONE_BUCKET = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::site/*"}


def everything(one: Statement) -> str | None:
    """All actions on all resources."""
    if everywhere(one) and "*" in actions(one):
        return ".Action is '*' on Resource '*', it must name actions"
    return None


def any_decryption(one: Statement) -> str | None:
    """Decryption with every key there is."""
    found = grants(one, "kms:decrypt", "kms:reencryptfrom")
    wide = any(text == "*" or text.endswith(":key/*") for text in texts(one.get("Resource")))
    return (
        f".Action is {found} on every key, it must name keys" if found and wide and not one.get("Condition") else None
    )


def reading_everything(one: Statement) -> str | None:
    """Reading or ending what holds data, whichever it is."""
    found = grants(one, *_READS)
    return f".Action is {found} on Resource '*', it must name resources" if found and everywhere(one) else None


def rising(one: Statement) -> str | None:
    """Giving oneself more."""
    found = grants(one, *_RISES)
    return f".Action is {found} on Resource '*', it must name roles" if found and everywhere(one) else None


def whole_service(one: Statement) -> str | None:
    """Every action of a service."""
    found = [each for each in actions(one) if re.fullmatch(r"[a-z0-9-]+:\*", each)]
    return f".Action is {found[0]}, it must name actions" if found and not one.get("Condition") else None


def trusts_everybody(one: Statement) -> str | None:
    """Anyone may take the role."""
    return ".Principal is '*', it must name who may take the role" if public(one) else None


def trusts_any_repository(one: Statement) -> str | None:
    """A token of GitHub says which repository and branch it is of: that must be asked."""
    if not allows(one) or not any(_GITHUB in who for who in principals(one)):
        return None
    tests = one.get("Condition") or {}
    subjects = [
        text for test in tests.values() for key, value in test.items() if key.endswith(":sub") for text in texts(value)
    ]
    pinned = subjects and all(re.match(r"repo:[^*/]+/[^*:]+:", text) for text in subjects)
    return None if pinned else ".Condition does not pin :sub, it must be repo:ORGANISATION/REPOSITORY:…"


def _trust(**condition: str) -> Statement:
    return {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{_GITHUB}"},
        "Condition": {"StringLike": condition},
    }


RULES = [
    rule(
        "no-decryption-by-any-key",
        "FSBP KMS.1",
        forbids(
            any_decryption,
            remedy="Name the keys",
            good={**_ANYTHING, "Action": "kms:Decrypt", "Resource": "arn:aws:kms:x:key/1"},
            bad={**_ANYTHING, "Action": "kms:Decrypt"},
        ),
    ),
    rule(
        "no-inline-decryption-by-any-key",
        "FSBP KMS.2",
        forbids(
            any_decryption,
            remedy="Name the keys",
            good={**_ANYTHING, "Action": "kms:Decrypt", "Resource": "arn:aws:kms:x:key/1"},
            bad={**_ANYTHING, "Action": "kms:Decrypt"},
            keys=_KEYS,
        ),
        types=(*_INLINE, _ROLE),
    ),
    rule("key-kept", "FSBP KMS.3", at_least("deletionWindowInDays", 30), resilience=True),
    rule("key-not-public", "FSBP KMS.5", not_public()),
    rule("key-rotates", "CIS 4.6", is_true("enableKeyRotation"), mends=True),
    rule("key-enabled", "CKV CKV_AWS_227", not_false("isEnabled"), mends=True),
    rule(
        "no-admin-policy",
        "FSBP IAM.1",
        forbids(everything, remedy="Name actions and resources", good=_ONE_BUCKET, bad=_ANYTHING, keys=_KEYS),
        types=(_MANAGED, *_INLINE, _ROLE),
    ),
    rule("no-policies-of-users", "FSBP IAM.2", never("a person's or a program's own permissions")),
    rule("passwords-long", "FSBP IAM.7", at_least("minimumPasswordLength", 14)),
    rule("passwords-not-repeated", "FSBP IAM.7", at_least("passwordReusePrevention", 24)),
    *(
        rule(f"passwords-{name}", "FSBP IAM.7", is_true(flag))
        for name, flag in (
            ("with-digits", "requireNumbers"),
            ("with-symbols", "requireSymbols"),
            ("with-small-letters", "requireLowercaseCharacters"),
            ("with-capitals", "requireUppercaseCharacters"),
        )
    ),
    rule(
        "no-whole-service",
        "FSBP IAM.21",
        forbids(whole_service, remedy="Name the actions", good=_ONE_BUCKET, bad={**_ANYTHING, "Action": "sqs:*"}),
    ),
    rule(
        "no-shell-access",
        "CIS 2.20",
        not_matching(
            "policyArn",
            "/AWSCloudShellFullAccess$",
            "arn:aws:iam::aws:policy/AWSCloudShellFullAccess",
            wanted="anything but AWSCloudShellFullAccess",
        ),
    ),
    rule("resource-policy-not-public", "CIS 2.21", not_public()),
    rule(
        "role-trusts-somebody",
        "CKV CKV_AWS_60/61",
        forbids(
            trusts_everybody,
            remedy="Name the principals",
            keys=("assumeRolePolicy",),
            good={"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}},
            bad={"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}},
        ),
    ),
    rule(
        "no-administrator",
        "CKV CKV_AWS_274",
        not_matching(
            "policyArn",
            "/(AdministratorAccess|IAMFullAccess)$",
            "arn:aws:iam::aws:policy/AdministratorAccess",
            wanted="narrower than AdministratorAccess and IAMFullAccess",
        ),
        types=(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "aws:iam/userPolicyAttachment:UserPolicyAttachment",
        ),
    ),
    rule("no-users", "CKV CKV_AWS_273", never("a key that does not expire")),
    rule(
        "no-rising",
        "CKV CKV_AWS_286",
        forbids(
            rising,
            remedy="Name the roles",
            good={**_ANYTHING, "Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/a"},
            bad={**_ANYTHING, "Action": "iam:PassRole"},
            keys=_KEYS,
        ),
        types=(_MANAGED, *_INLINE, _ROLE),
    ),
    rule(
        "no-reading-everything",
        "CKV CKV_AWS_287-290,355",
        forbids(
            reading_everything,
            remedy="Name the resources",
            good=_ONE_BUCKET,
            bad={**_ANYTHING, "Action": "s3:GetObject"},
            keys=_KEYS,
        ),
        types=(_MANAGED, *_INLINE, _ROLE),
    ),
    rule(
        "pipeline-pinned",
        "CKV CKV_AWS_393",
        forbids(
            trusts_any_repository,
            remedy="Pin organisation, repository and branch or environment",
            keys=("assumeRolePolicy",),
            good=_trust(**{f"{_GITHUB}:sub": "repo:acme/platform:ref:refs/heads/main"}),
            bad=_trust(**{f"{_GITHUB}:sub": "repo:*"}),
        ),
    ),
]
