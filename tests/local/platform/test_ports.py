"""A part takes the port that people expect, unless somebody has it: then another, which the status shows."""

from __future__ import annotations

import socket

import pytest

from scripts.local.processes import free_port


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_port_in_use_is_passed_by(everywhere: bool) -> None:
    """By a server on this very address, or by one on every address, as a container publishes its port."""
    with socket.create_server(("0.0.0.0" if everywhere else "127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port) not in (0, port)


def test_the_port_that_people_expect_is_taken_when_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    assert free_port("127.0.0.1", port) == port


def test_one_server_s_port_on_another_address_is_free() -> None:
    """Each part has an address of its own, so that all can have the port of their kind."""
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        assert free_port("127.0.0.3", port) == port
