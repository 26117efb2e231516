"""A code opens the door only as it was signed."""

from __future__ import annotations

import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.booking.ticket_codes import InvalidCode, Signer, verify

SIGNER = Signer(Ed25519PrivateKey.generate())


@given(ticket=st.uuids(), event=st.uuids())
def test_a_code_tells_its_ticket_and_event(ticket: uuid.UUID, event: uuid.UUID) -> None:
    assert verify(SIGNER.code(ticket, event), SIGNER.key.public_key()) == (ticket, event)


@given(position=st.integers(0, 129), letter=st.sampled_from("ABCxyz019-_"))
def test_a_code_with_one_letter_changed_is_refused(position: int, letter: str) -> None:
    code = SIGNER.code(uuid.UUID(int=1), uuid.UUID(int=2))
    changed = code[:position] + letter + code[position + 1 :]
    if changed != code:
        with pytest.raises(InvalidCode):
            verify(changed, SIGNER.key.public_key())


@given(st.text(max_size=200))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidCode):
        verify(text, SIGNER.key.public_key())


def test_a_code_of_another_key_is_refused() -> None:
    other = Signer(Ed25519PrivateKey.generate())
    with pytest.raises(InvalidCode):
        verify(other.code(uuid.uuid4(), uuid.uuid4()), SIGNER.key.public_key())


def test_a_wrong_key_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="openssl genpkey -algorithm ed25519"):
        Signer.from_pem("not a key")
