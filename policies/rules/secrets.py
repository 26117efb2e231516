"""Rules for secrets: keys of ours, closed to the public, turned over."""

from __future__ import annotations

from policies.checks import at_most, matching, not_false
from policies.documents import not_public
from policies.kit import rule, stack_rule
from policies.stacks import Companion, known

_SECRET = "aws:secretsmanager/secret:Secret"
_ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"

RULES = [
    rule("secret-rotates-in-time", "FSBP SecretsManager.4", at_most("rotationRules.automaticallyAfterDays", 90)),
    rule(
        "secret-own-key",
        "CKV CKV_AWS_149",
        matching(
            "kmsKeyId",
            "^(?!alias/aws/)",
            "arn:aws:kms:eu-west-3:1:key/1",
            "alias/aws/secretsmanager",
            wanted="a key of ours",
        ),
    ),
    rule("secret-not-public", "HOUSE Secrets-policy", not_public(), types=(_POLICY,)),
    rule("secret-policy-checked", "HOUSE Secrets-policy", not_false("blockPublicPolicy"), types=(_POLICY,)),
    stack_rule(
        "secret-has-policy",
        "HOUSE Secrets-policy",
        Companion(of=(_SECRET,), by=(_POLICY,), link="secretArn", says="it has no policy, it must have one"),
        types=(_SECRET, _POLICY),
        remedy="Declare a SecretPolicy that denies other accounts and plain HTTP",
    ),
    stack_rule(
        "secret-rotates",
        "FSBP SecretsManager.1",
        Companion(
            of=(_SECRET,),
            by=(_ROTATION,),
            link="secretId",
            says="nothing rotates it, something must",
            spare=lambda one: known(one, "tags.Rotation", "external") == "external",
        ),
        types=(_SECRET, _ROTATION),
        remedy="Declare a SecretRotation, or tag it Rotation=external with its owner",
    ),
]
