"""The incident role does what the runbooks say and nothing else: IAM of the simulated cloud judges each command."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import Shape
from botocore.parsers import ResponseParserError

from components import responder
from components.context import Place
from runbooks import _kit as kit
from runbooks._kit.target import AWS
from scripts.deployment import ROOT
from scripts.local.cloud import running
from scripts.runbooks import acting
from tests.conformance.test_runbook_commands import CALLED, CLIENT_SIDE, commands
from tests.support.permissions import credentials, denied, enforcing

PLACE = Place(environment="dev", region="eu-west-3", account_id="123456789012", partition="aws")
SESSION = botocore.session.get_session()
# Where the name in a policy is not that of the signature, or of the operation (Service Authorization Reference).
PREFIXES = {"monitoring": "cloudwatch"}
ACTIONS = {"s3:HeadObject": "s3:GetObject"}
# Not of this role: credential_compromise has them typed with an administrator's session.
ADMINISTRATORS = {"iam:PutRolePolicy", "iam:DeleteRolePolicy"}
# What the CLI calls by itself.
IMPLIED = {("eks", "update-kubeconfig"): "eks:DescribeCluster"}


def typed() -> dict[str, tuple[str, str]]:
    """Every action that a runbook has somebody take, with its client and method."""
    found: dict[str, tuple[str, str]] = {}
    for document in [*sorted((ROOT / "runbooks").glob("*.md")), ROOT / "docs" / "on-call.md"]:
        for word, command, _ in commands(document.read_text()):
            if (word, command) in CLIENT_SIDE:
                found[IMPLIED[word, command]] = (word, "describe_cluster")
                continue
            service = CALLED.get(word, word)
            model = SESSION.get_service_model(service)
            [operation] = [name for name in model.operation_names if xform_name(name, "-") == command]
            action = f"{PREFIXES.get(model.signing_name, model.signing_name)}:{operation}"
            found[ACTIONS.get(action, action)] = (service, xform_name(operation))
    return {action: call for action, call in found.items() if action not in ADMINISTRATORS}


def scripted() -> set[str]:
    """Every action that a script of a runbook says that it needs; tests/runbooks/ holds each to its word."""
    scripts = [importlib.import_module(f"runbooks.{name}") for name in acting()]
    classes = [each for script in scripts for each in vars(script).values() if isinstance(each, type)]
    own = {each for each in classes if issubclass(each, kit.Runbook)}
    assert len(own) == len(scripts)
    return set(AWS).union(*(each.aws for each in own))


def test_the_role_allows_what_the_runbooks_type_and_do_and_nothing_else() -> None:
    allowed = {*responder.LOOKS, *responder.MENDS, *responder.OPENS, *responder.LOCKS, *responder.SILENCES}
    allowed |= {*responder.CLOSES, *responder.UNTAGGED}
    assert allowed == set(typed()) | scripted()


def test_no_login_is_read_but_those_of_databases_caches_and_the_broker() -> None:
    statements = json.loads(responder.incident_policy(PLACE))["Statement"]
    [opens] = [each for each in statements if each["Action"] == list(responder.OPENS)]
    for name, readable in (("booking-database", True), ("broker-administrator", True), ("admission-credentials", True),
                           ("payment-stripe", False),
                           ("booking-signing", False), ("identity-social", False)):  # fmt: skip
        arn = PLACE.arn("secretsmanager", f"secret:dev/{name}-a1B2c3")
        assert any(fnmatchcase(arn, pattern) for pattern in opens["Resource"]) is readable, name


def test_what_changes_something_is_bound_to_the_environment() -> None:
    statements = json.loads(responder.incident_policy(PLACE))["Statement"]
    for statement in statements:
        if (
            statement["Effect"] == "Allow"
            and statement["Resource"] == ["*"]
            and statement["Action"] != list(responder.LOOKS)
        ):
            assert statement["Condition"] == {"StringEquals": {"aws:ResourceTag/Environment": "dev"}}


def test_no_function_is_called_but_that_of_previews_and_no_parameter_goes_but_locks_and_their_records() -> None:
    statements = json.loads(responder.incident_policy(PLACE))["Statement"]
    [calls] = [each for each in statements if each["Action"] == list(responder.CLOSES)]
    assert calls["Condition"] == PLACE.tagged
    for name, callable_ in (("tenants-1a2b3c4", True), ("canary-guard-rollback-1a2b3c4", False)):
        assert fnmatchcase(PLACE.arn("lambda", f"function:{name}"), calls["Resource"][0]) is callable_, name
    removes = [each["Resource"] for each in statements if "ssm:DeleteParameter" in each["Action"]]
    assert removes == [[PLACE.arn("ssm", f"parameter/dev/{folder}/*")] for folder in ("runbooks", "previews")]


def test_a_restore_makes_an_instance_of_this_environment_beside_the_original_and_no_other() -> None:
    statements = json.loads(responder.incident_policy(PLACE))["Statement"]
    [makes] = [each for each in statements if "rds:AddTagsToResource" in each["Action"]]
    [beside] = makes["Resource"]
    assert fnmatchcase(PLACE.arn("rds", "db:booking-database-1a2b3c4-at-20261128-031400"), beside)
    assert not fnmatchcase(PLACE.arn("rds", "db:booking-database-1a2b3c4"), beside)
    assert makes["Condition"] == {"StringEquals": {"aws:RequestTag/Environment": "dev"}}


def test_no_record_of_a_domain_is_made_but_one_that_proves_a_name() -> None:
    statements = json.loads(responder.incident_policy(PLACE))["Statement"]
    [makes] = [each["Condition"] for each in statements if "route53:ChangeResourceRecordSets" in each["Action"]]
    said = {name: value for kind in makes.values() for name, value in kind.items()}
    assert said == {
        "route53:ChangeResourceRecordSetsActions": ["UPSERT"],
        "route53:ChangeResourceRecordSetsRecordTypes": ["CNAME"],
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_*"],
    }


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Addresses]:
    with running.running(folder=tmp_path_factory.mktemp("cloud")) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def roles(cloud: running.Addresses) -> dict[str, boto3.Session]:
    """The incident role, and one that may do nothing."""
    iam, nothing = cloud.client("iam"), {"Effect": "Deny", "Action": ["*"], "Resource": ["*"]}
    made = {}
    for name, policy in (
        ("incident", responder.incident_policy(PLACE)),
        ("nobody", json.dumps({"Version": "2012-10-17", "Statement": [nothing]})),
    ):
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=responder.trust(PLACE))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy)
        made[name] = credentials(cloud, arn)
    return made


def refused(cloud: running.Addresses, session: boto3.Session, service: str, method: str) -> bool:
    """Whether permission is what a call lacks; it is made with made-up parameters, so it fails anyhow."""
    make: Any = session.client
    client = make(
        service, endpoint_url=cloud.endpoint, config=Config(parameter_validation=False, retries={"max_attempts": 0})
    )
    operation = client.meta.method_to_api_mapping[method]
    shape = client.meta.service_model.operation_model(operation).input_shape
    try:
        return denied(getattr(client, method), **_made_up(shape))
    except (ClientError, BotoCoreError, ResponseParserError):
        return False


def test_every_command_of_a_runbook_is_allowed_where_without_the_role_it_is_refused(
    cloud: running.Addresses, roles: dict[str, boto3.Session]
) -> None:
    with enforcing(cloud):
        judged = {
            action
            for action, call in typed().items()
            if action != "sts:GetCallerIdentity" and refused(cloud, roles["nobody"], *call)
        }
        wrongly = [action for action in judged if refused(cloud, roles["incident"], *typed()[action])]
    assert wrongly == []
    # Moto judges most services; those that it has not are told by name, so that a change shows.
    assert {action.split(":")[0] for action in set(typed()) - judged} <= {
        "backup", "cloudfront-keyvaluestore", "health", "s3", "sts", "guardduty", "eks", "acm", "mq",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("service", "method"),
    [
        ("rds", "delete_db_instance"),
        ("sqs", "purge_queue"),
        ("sqs", "delete_queue"),
        ("secretsmanager", "delete_secret"),
        ("kms", "schedule_key_deletion"),
        ("iam", "put_role_policy"),
        ("iam", "create_access_key"),
        ("ec2", "run_instances"),
        ("stepfunctions", "stop_execution"),
    ],
)
def test_what_no_runbook_says_is_refused(
    cloud: running.Addresses, roles: dict[str, boto3.Session], service: str, method: str
) -> None:
    with enforcing(cloud):
        assert refused(cloud, roles["incident"], service, method)


def _made_up(shape: Shape | None) -> dict[str, Any]:
    """A value for every required parameter."""
    members = getattr(shape, "members", {})
    return {name: _value(members[name]) for name in getattr(shape, "required_members", [])}


def _value(shape: Shape) -> Any:
    if shape.type_name == "structure":
        return _made_up(shape)
    by_type: dict[str, Any] = {
        "list": [],
        "map": {},
        "integer": 1,
        "long": 1,
        "boolean": True,
        "timestamp": 0,
        "double": 1.0,
    }
    return by_type.get(shape.type_name, "made-up")
