"""docs/components.md says what the components are."""

from components import database, saga
from scripts.catalogue import DOCUMENT, document


def test_the_catalogue_is_what_the_sources_say() -> None:
    assert DOCUMENT.read_text() == document(), "run `python -m scripts.catalogue`"


def test_arguments_outputs_resources_and_alarms_of_a_component_are_in_it() -> None:
    text = document()
    for name in database.DatabaseArgs.__dataclass_fields__:
        assert f"`{name}`" in text
    assert "state_machine_arn" in text
    assert saga.Saga.__name__ in text
    assert "sfn.StateMachine" in text
    assert "ReplicationLag → [cache_failover]" in text
