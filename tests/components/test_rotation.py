"""Who rotates which secret, and what the functions may do."""

import pytest
from pulumi_aws import lambda_, secretsmanager

from components.rotation import Rotation, RotationArgs, Rotator, permissions
from components.secrets import Secrets
from tests.support.recording import CONTEXT, PLACE, Recording, record

ARGS = RotationArgs(vpc_id="vpc-1", subnet_ids=["subnet-1"], secrets_key_arn="arn:key", interval_days=30)


@pytest.fixture(scope="module")
def built() -> Recording:
    def program() -> None:
        rotation = Rotation("rotation", ARGS, context=CONTEXT)
        rotation.schedule("login", secretsmanager.Secret("login"), Rotator.POSTGRESQL)

    return record(program)


@pytest.mark.parametrize("days", [0, 1001])
def test_an_interval_that_secrets_manager_does_not_take_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match=f"{days} days; Secrets Manager takes 1 to 1000: set secrets.rotation_days"):
        RotationArgs(vpc_id="vpc-1", subnet_ids=["subnet-1"], secrets_key_arn="arn:key", interval_days=days)


def test_a_secret_rotates_every_interval_and_not_at_once(built: Recording) -> None:
    inputs = built.one(secretsmanager.SecretRotation, "login").inputs
    assert inputs["rotationRules"] == {"automaticallyAfterDays": 30}
    assert inputs["rotateImmediately"] is False
    assert "rotation-postgresql" in inputs["rotationLambdaArn"]


def test_the_function_for_postgresql_brings_its_driver_as_sources_only(built: Recording) -> None:
    files = built.one(lambda_.Function, "rotation-postgresql").inputs["code"].assets
    assert {"components/functions/rotation.py", "pg8000/native.py", "scramp/core.py"} <= set(files)
    assert all(name.endswith(".py") for name in files)


def test_only_secrets_manager_may_call_the_functions(built: Recording) -> None:
    found = built.all(lambda_.Permission).values()
    assert len(found) == len(Rotator)
    assert {permission.inputs["principal"] for permission in found} == {"secretsmanager.amazonaws.com"}


@pytest.mark.parametrize("rotator", Rotator)
def test_a_function_may_change_secrets_of_its_own_environment_alone(rotator: Rotator) -> None:
    statements = permissions(rotator, PLACE, key_arn="arn:key")
    writing = [one for one in statements if "secretsmanager:PutSecretValue" in str(one["Action"])]
    assert [one["Resource"] for one in writing] == [["arn:aws:secretsmanager:eu-west-3:123456789012:secret:dev/*"]]


def test_only_the_function_for_the_cache_may_change_cache_users() -> None:
    granted = {rotator: str(permissions(rotator, PLACE, key_arn="arn:key")) for rotator in Rotator}
    may = {rotator for rotator in Rotator if "elasticache:ModifyUser" in granted[rotator]}
    assert may == {Rotator.VALKEY}


def test_a_rotated_value_is_not_brought_back_by_the_next_update() -> None:
    found = record(lambda: Secrets("secrets", context=CONTEXT).keep("login", {"password": "first"}, about="A login"))
    assert found.one(secretsmanager.SecretVersion, "login").ignore_changes == ("secretString",)
