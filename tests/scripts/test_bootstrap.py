"""An account before its first stack: what is planned, done, and done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from scripts.bootstrap import WrongAccount, home, plan
from scripts.cli import app
from tests.support.aws import mocked_aws

REGION, ACCOUNT = "eu-west-3", "123456789012"
Client = Callable[[str], Any]


@pytest.fixture
def client() -> Iterator[Client]:
    make: Any = boto3.client
    with mocked_aws():
        yield lambda service: make(service, region_name=REGION)


def test_everything_is_planned_in_a_fresh_account_and_nothing_is_made(client: Client) -> None:
    planned = [action.what for action in plan(client, home(client, REGION, account=None))]
    assert planned[0] == "key alias/event-platform-state"
    assert f"bucket event-platform-state-{ACCOUNT}-{REGION}" in planned
    assert client("s3").list_buckets()["Buckets"] == []
    assert not [alias for alias in client("kms").list_aliases()["Aliases"] if "event-platform" in alias["AliasName"]]


def test_after_it_was_done_nothing_is_left_to_do_and_the_state_is_versioned_encrypted_and_closed(
    client: Client,
) -> None:
    where = home(client, REGION, account=ACCOUNT)
    for action in plan(client, where):
        action.do()
    assert plan(client, where) == []
    s3 = client("s3")
    assert s3.get_bucket_versioning(Bucket=where.bucket)["Status"] == "Enabled"
    assert "alias/event-platform-state" in json.dumps(s3.get_bucket_encryption(Bucket=where.bucket))
    assert all(s3.get_public_access_block(Bucket=where.bucket)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_location(Bucket=where.bucket)["LocationConstraint"] == REGION


def test_what_was_half_done_is_finished_and_what_was_undone_by_hand_is_done_again(client: Client) -> None:
    where = home(client, REGION, account=ACCOUNT)
    for action in plan(client, where)[:3]:
        action.do()
    for action in plan(client, where):
        action.do()
    client("s3").put_bucket_versioning(Bucket=where.bucket, VersioningConfiguration={"Status": "Suspended"})
    assert [action.what for action in plan(client, where)] == ["versions of every object"]


def test_another_account_is_refused(client: Client) -> None:
    with pytest.raises(WrongAccount, match=f"of account {ACCOUNT}, not 210987654321"):
        home(client, REGION, account="210987654321")


def test_the_command_plans_first_and_does_not_apply_without_naming_the_account(client: Client) -> None:
    run = CliRunner().invoke
    told = json.loads(run(app, ["bootstrap", "--json"]).stdout)
    assert told["backend"] == f"s3://event-platform-state-{ACCOUNT}-{REGION}?region={REGION}"
    assert told["planned"] == told["left"] != []
    assert run(app, ["bootstrap", "--apply"]).exit_code == 2
    assert run(app, ["bootstrap", "--apply", "--account", "210987654321"]).exit_code == 2
    done = run(app, ["bootstrap", "--apply", "--account", ACCOUNT, "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout[done.stdout.index("{") :])["left"] == []
    assert json.loads(run(app, ["bootstrap", "--json"]).stdout)["planned"] == []
