"""State machines with versions and an alias: a new definition is a new version, and the alias starts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.engine import Workspace

Client = Callable[..., Any]
PROGRAM = """
import json

role = aws.iam.Role("saga", assume_role_policy=json.dumps({{"Version": "2012-10-17", "Statement": [
    {{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {{"Service": "states.amazonaws.com"}}}}]}}))
machine = aws.sfn.StateMachine("saga", role_arn=role.arn, publish=True, definition=json.dumps(
    {{"StartAt": "Done", "States": {{"Done": {{"Type": "Pass", "Result": "{result}", "End": True}}}}}}))
alias = aws.sfn.Alias("saga", name="live", routing_configurations=[
    {{"state_machine_version_arn": machine.state_machine_version_arn, "weight": 100}}])
pulumi.export("machine", machine.arn)
pulumi.export("alias", alias.arn)
"""


def test_an_alias_starts_the_machine_and_moves_with_its_versions(workspace: Workspace, client: Client) -> None:
    workspace.program(PROGRAM.format(result="first"))
    made = workspace.up()
    assert made.steps == {"create": 4}, made.output
    outputs, states = workspace.outputs(), client("stepfunctions")
    started = states.start_execution(stateMachineArn=outputs["alias"], name="order-1", input="{}")
    assert started["executionArn"] == outputs["machine"].replace(":stateMachine:", ":execution:") + ":order-1"

    workspace.program(PROGRAM.format(result="second"))
    changed = workspace.up()
    assert changed.steps == {"update": 2, "same": 2}, changed.output
    [route] = states.describe_state_machine_alias(stateMachineAliasArn=outputs["alias"])["routingConfiguration"]
    assert route == {"stateMachineVersionArn": f"{outputs['machine']}:2", "weight": 100}
    assert set(workspace.up().steps) == {"same"}
