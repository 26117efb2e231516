"""Every message can be rendered, in both languages, from the ids that its events carry."""

from __future__ import annotations

import re

import pytest
from jinja2 import UndefinedError, meta
from pydantic.alias_generators import to_snake

from services.notification import sms
from services.notification.adapters.templates import FOLDER, Templates
from services.notification.preferences import Locale
from services.notification.workflows import WORKFLOWS, tickets
from services.notification.workflows.model import Channel, Workflow

ID = "0c7f9a52-62a5-4a0b-8f3e-0d6f6b0c6a11"
# As long as the address of a real site may be for its text messages to stay in one part.
TEMPLATES = Templates("https://tickets.event-platform.example")


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=lambda workflow: workflow.name)
def test_every_workflow_says_something_on_each_of_its_channels(workflow: Workflow, locale: Locale) -> None:
    content = TEMPLATES.render(workflow, locale, workflow.channels, [dict.fromkeys(workflow.needs, ID)])
    assert set(content) == set(workflow.channels)
    for channel, parts in content.items():
        assert all(text.strip() and "{{" not in text for text in parts.values()), channel
        assert ("subject" in parts) == (channel in (Channel.EMAIL, Channel.PUSH, Channel.IN_APP))
    assert f'<html lang="{locale}">' in content[Channel.EMAIL]["body"]
    if Channel.SMS in content:
        assert sms.parts(content[Channel.SMS]["body"]) == 1, content[Channel.SMS]["body"]


@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=lambda workflow: workflow.name)
def test_both_languages_use_the_same_variables_and_no_others(workflow: Workflow) -> None:
    known = {"site", "items"} if workflow.digest else {"site", *map(to_snake, workflow.needs)}
    used = {}
    for locale in Locale:
        for kind in ("txt", "html"):
            source = (FOLDER / workflow.name / f"{locale}.{kind}").read_text()
            found = meta.find_undeclared_variables(TEMPLATES.environment.parse(source))
            attributes = set(re.findall(r"item\.(\w+)", source))
            used[locale, kind] = found | attributes
            assert found <= known
            assert attributes <= set(map(to_snake, workflow.needs))
    assert used[Locale.FRENCH, "txt"] == used[Locale.ENGLISH, "txt"]
    assert used[Locale.FRENCH, "html"] == used[Locale.ENGLISH, "html"]


def test_no_template_is_without_a_workflow() -> None:
    assert {folder.name for folder in FOLDER.iterdir()} == {*WORKFLOWS, "layout"}


def test_a_variable_that_is_missing_is_an_error_and_never_an_empty_place() -> None:
    with pytest.raises(UndefinedError, match="order_id"):
        TEMPLATES.render(tickets.COMPLETED, Locale.FRENCH, [Channel.SMS], [{}])


def test_what_an_event_says_cannot_become_markup_of_a_mail() -> None:
    content = TEMPLATES.render(tickets.COMPLETED, Locale.ENGLISH, [Channel.EMAIL], [{"orderId": "<script>"}])
    assert "<script>" not in content[Channel.EMAIL]["body"]
    assert "&lt;script&gt;" in content[Channel.EMAIL]["body"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ê" * 70, 1),
        ("ê" * 71, 2),
        ("a" * 307, 3),
        ("🎫" * 35, 1),
        ("🎫" * 36, 2),
    ],
)
def test_a_text_message_is_counted_as_networks_charge_it(text: str, parts: int) -> None:
    assert sms.parts(text) == parts
