"""What the stack writes down for operations is what runbooks read."""

from __future__ import annotations

from components.operations_record import parameter_name
from runbooks._kit import lock
from runbooks._kit.target import Operations
from stacks.outputs import OPERATIONS, Outputs, camel


def test_whatever_runbooks_read_is_written_down() -> None:
    read = {field.alias for field in Operations.model_fields.values()}
    assert read <= OPERATIONS


def test_only_outputs_are_written_down_and_none_that_is_a_secret() -> None:
    assert {camel(name) for name in Outputs.__dataclass_fields__} >= OPERATIONS
    assert "kubeconfig" not in OPERATIONS


def test_locks_are_not_where_the_record_is() -> None:
    assert parameter_name("prod") == "/prod/operations"
    assert lock.name("prod", "stuck_saga") == "/prod/runbooks/stuck_saga/lock"
