"""IAM documents as pure functions, so that least privilege can be read and tested without a cloud."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

# The version of the policy language; AWS IAM User Guide, "IAM JSON policy elements: Version".
_LANGUAGE = "2012-10-17"


def allow(
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    principal: Mapping[str, Any] | None = None,
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A statement that allows ``actions`` on ``resources``."""
    return _statement("Allow", actions, resources, principal, condition)


def deny(
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    principal: Mapping[str, Any] | str | None = None,
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A statement that denies ``actions`` on ``resources``, whatever else allows them."""
    return _statement("Deny", actions, resources, principal, condition)


def document(*statements: Mapping[str, Any]) -> str:
    """A policy document. Raises ValueError when it has no statement: AWS refuses it only at deployment."""
    if not statements:
        raise ValueError("a policy document has 0 statements, it needs at least one; leave the policy out instead")
    return json.dumps({"Version": _LANGUAGE, "Statement": list(statements)}, sort_keys=True)


def trust(service: str, *, actions: Sequence[str] = ("sts:AssumeRole",), account_id: str | None = None) -> str:
    """Who may take a role: ``service`` alone, and only on behalf of ``account_id`` when given (no confused deputy)."""
    condition = {"StringEquals": {"aws:SourceAccount": account_id}} if account_id else None
    statement = allow(actions, (), principal={"Service": service}, condition=condition)
    return document(statement)


def deny_plain_http(resource: str, service: str) -> dict[str, Any]:
    """A statement that refuses requests made without TLS to ``resource`` of ``service``."""
    return deny((f"{service}:*",), (resource,), principal="*", condition={"Bool": {"aws:SecureTransport": "false"}})


def _statement(
    effect: str,
    actions: Sequence[str],
    resources: Sequence[str],
    principal: Mapping[str, Any] | str | None,
    condition: Mapping[str, Any] | None,
) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": effect, "Action": list(actions)}
    if resources:
        statement["Resource"] = list(resources)
    if principal is not None:
        statement["Principal"] = principal
    if condition is not None:
        statement["Condition"] = condition
    return statement
