"""The AWS CLI commands in runbooks exist, with the options that are typed: AWS's own models say so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from tests.conformance.runbook_names import ROOT

# Options of the CLI itself: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html and pagination.
GLOBAL = {"--query", "--output", "--region", "--max-items", "--page-size", "--no-paginate", "--profile"}
# Commands of the CLI that are no operation of the API.
CLIENT_SIDE = {("eks", "update-kubeconfig"): {"--name", "--alias", "--role-arn"}}
# Options that the CLI renames, as they would hide its own (aws-cli, customizations/argrename.py).
RENAMED = {
    ("stepfunctions", "send-task-success"): {"--output": "--task-output"},
    ("sns", "subscribe"): {"--endpoint": "--notification-endpoint"},
}
# Services that the CLI calls otherwise than their API.
CALLED = {"s3api": "s3"}
DOCUMENTS = [*sorted((ROOT / "runbooks").glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
SESSION = botocore.session.get_session()


def commands(text: str) -> Iterator[tuple[str, str, set[str]]]:
    """Service, operation and options of each ``aws`` command in the code of a document."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))
    for code in [*lines, *(" ".join(span.split()) for span in spans)]:
        for service, operation, rest in re.findall(r"\baws ([a-z0-9-]+) ([a-z][a-z-]+)((?:(?!\baws )[^|])*)", code):
            yield service, operation, set(re.findall(r"(?<=\s)--[a-z-]+", rest))


def wrong(service: str, operation: str, options: set[str]) -> str | None:
    """What AWS does not know of a command, or None."""
    service = CALLED.get(service, service)
    if (service, operation) in CLIENT_SIDE:
        known = CLIENT_SIDE[service, operation]
    elif service not in SESSION.get_available_services():
        return f"there is no service {service}"
    else:
        model = SESSION.get_service_model(service)
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        if operation not in operations:
            return f"{service} has no operation {operation}"
        shape = model.operation_model(operations[operation]).input_shape
        members = {f"--{xform_name(name, '-')}" for name in (shape.members if shape else {})}
        members = {RENAMED.get((service, operation), {}).get(option, option) for option in members}
        known = members | {option.replace("--", "--no-", 1) for option in members}
    unknown = options - known - GLOBAL
    return f"{service} {operation} has no option {', '.join(sorted(unknown))}" if unknown else None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_aws_command_of_a_document_exists(document: Path) -> None:
    mistakes = [problem for command in commands(document.read_text()) if (problem := wrong(*command))]
    assert not mistakes, "\n".join(mistakes)


def test_a_command_that_aws_does_not_have_is_noticed() -> None:
    text = "```sh\naws sqs purge-everything\naws sqs delete-message --queue-url x \\\n  --handle y | jq --arg a b\n```"
    assert [wrong(*command) for command in commands(text)] == [
        "sqs has no operation purge-everything",
        "sqs delete-message has no option --handle",
    ]
    assert wrong("sqz", "list-queues", set()) == "there is no service sqz"
