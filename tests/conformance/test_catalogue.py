"""The generated documents say what the components, the outputs and production are."""

from __future__ import annotations

from dataclasses import fields

import pytest

from components import database, saga
from scripts import catalogue
from scripts.deployment import ROOT
from stacks.outputs import Outputs, camel


def test_the_catalogue_is_what_the_sources_say() -> None:
    assert catalogue.DOCUMENT.read_text() == catalogue.document(), "run `python -m scripts.catalogue`"


def test_the_table_of_outputs_is_what_the_program_exports() -> None:
    assert catalogue.OUTPUTS.read_text() == catalogue.outputs(), "run `python -m scripts.catalogue`"
    for field in fields(Outputs):
        assert f"| `{camel(field.name)}` | " in catalogue.outputs(), f"{field.name} is not explained"


def test_the_picture_of_production_is_what_was_made() -> None:
    assert catalogue.PICTURE.read_text() == catalogue.drawing(), "run `python -m scripts.catalogue`"


def test_arguments_outputs_resources_and_alarms_of_a_component_are_in_it() -> None:
    text = catalogue.document()
    for name in database.DatabaseArgs.__dataclass_fields__:
        assert f"`{name}`" in text
    assert "state_machine_arn" in text
    assert saga.Saga.__name__ in text
    assert "sfn.StateMachine" in text
    assert "ReplicationLag → [cache_failover]" in text


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md"])
def test_people_are_led_to_the_picture_and_the_contract(document: str) -> None:
    text = (ROOT / document).read_text()
    assert "prod.svg" in text
    assert "outputs.md" in text
