"""Dead letters of commands and of events, on real queues: what goes back to work, what is parked, what is left."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runbooks import _kit as kit
from runbooks._kit.messages import Message
from runbooks._kit.model import Exit
from runbooks._kit.rabbitmq import Broker
from runbooks.dead_letter_redrive import DeadLetterRedrive
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.dead_letter_redrive import Commands, Events


@pytest.fixture
def of_events(events: Events, tmp_path: Path) -> Bench:
    return Bench(DeadLetterRedrive(queue=[events.queue], patience=0), events.environment, tmp_path)


@pytest.fixture
def of_commands(commands: Commands, tmp_path: Path) -> Bench:
    return Bench(DeadLetterRedrive(queue=["booking"], patience=0), commands.environment, tmp_path)


def fates(bench: Bench) -> list[tuple[str, str, int]]:
    """Fate, reason and count of each group that a dry run shows."""
    _, by_fate = bench.engine().dry_run().findings
    return [(row["fate"], row["reason"], row["letters"]) for row in by_fate["rows"]]


class TestEvents:
    def test_they_are_grouped_by_why_they_died(self, events: Events, of_events: Bench) -> None:
        events.die("a", "b")
        events.die("c", rejected=True)
        assert fates(of_events) == [
            ("park", "its consumer could not read it", 1),
            ("redrive", "its consumer failed again and again", 2),
        ]

    def test_a_redriven_event_keeps_its_id_its_type_and_its_headers_but_not_its_deaths(
        self, events: Events, of_events: Bench
    ) -> None:
        events.die("a")
        assert of_events.applied().exit is Exit.DONE
        with Broker.connected(events.environment.target()) as broker, broker.queue(events.queue).taken() as [found]:
            assert (found.id, found.body, found.properties["type"]) == ("a", b"{}", "order.completed")
            assert {"of", "redriven-at"} == {key for key in found.headers if key != "x-delivery-count"}
            assert found.headers["of"] == "ours"

    def test_what_no_consumer_can_read_is_parked_and_a_rollback_puts_it_back(
        self, events: Events, of_events: Bench
    ) -> None:
        events.die("a", rejected=True)
        plan = of_events.planned()
        assert of_events.applied(plan).exit is Exit.DONE
        assert (events.alive, events.dead) == ([], [])
        assert of_events.engine().rollback(plan, TERMS).exit is Exit.DONE
        assert events.dead == ["a"]
        assert fates(of_events) == [("park", "its consumer could not read it", 1)]

    def test_what_dies_again_after_a_redrive_is_left_unless_it_is_to_be_parked(
        self, events: Events, of_events: Bench
    ) -> None:
        events.die("a")
        of_events.applied()
        events.die("a", published=False)
        assert fates(of_events) == [("leave", "dead again after a redrive", 1)]
        assert of_events.given(park_returned=True).applied().exit is Exit.DONE
        assert events.dead == []

    def test_letters_that_are_left_fail_the_verification(self, events: Events, of_events: Bench) -> None:
        events.die("a")
        report = of_events.engine().verify()
        assert report.exit is Exit.FAILED
        assert report.verified[0]["detail"] == f"1 of {events.queue}: its consumer failed again and again"

    def test_it_stops_when_the_dead_letters_grow_again(self, events: Events, of_events: Bench) -> None:
        events.die("a", "b", "c")
        asked: list[bool] = []

        def more_die() -> bool:
            asked.append(True)
            if len(asked) == 2:
                events.die("d", "e")
            return False

        report = of_events.applied(terms=replace(TERMS, stopping=more_die))
        assert report.exit is Exit.PARTIAL
        assert "it grows, mend the cause" in report.outcome
        assert [action["outcome"] for action in report.actions] == ["done", "left", "left"]

    def test_a_message_without_an_id_is_known_by_its_body(self, events: Events, of_events: Bench) -> None:
        events.die("", rejected=True)
        [action] = of_events.engine().dry_run().actions
        assert len(action["before"]["letter"]) == 32
        assert of_events.applied().exit is Exit.DONE

    def test_a_letter_that_can_go_nowhere_is_an_error_and_not_a_word_in_a_log(self, events: Events) -> None:
        with (
            Broker.connected(events.environment.target()) as broker,
            pytest.raises(Exception, match=r"NO_ROUTE|returned"),
        ):
            broker.queue("nowhere").send(Message(id="a", body=b"{}"))


class TestCommands:
    def test_what_an_execution_waits_for_goes_back_and_what_it_does_not_is_parked(
        self, commands: Commands, of_commands: Bench
    ) -> None:
        waits, ended = commands.die(commands.execution(waits=True)), commands.die(commands.execution(waits=False))
        commands.put("not JSON")
        commands.put(json.dumps({"something": "else"}))
        commands.die("arn:aws:states:eu-west-3:123456789012:execution:saga:never")
        assert fates(of_commands) == [
            ("park", "its execution is not there", 1),
            ("park", "its order's execution is SUCCEEDED", 1),
            ("park", "not a command", 2),
            ("redrive", "its order waits", 1),
        ]
        plan = of_commands.planned()
        assert of_commands.applied(plan).exit is Exit.DONE
        assert (commands.alive, commands.dead) == ([waits], [])
        assert of_commands.engine().rollback(plan, TERMS).outcome == "4 taken back, 1 cannot be"
        assert len(commands.dead) == 4
        assert ended in commands.dead

    def test_the_task_token_is_in_the_copy_that_can_be_put_back_and_in_no_audit(
        self, commands: Commands, of_commands: Bench
    ) -> None:
        commands.die(commands.execution(waits=False))
        report = of_commands.applied()
        files = {file.name: file.read_text() for file in Path(report.evidence).iterdir()}
        [copy] = [text for name, text in files.items() if name.startswith("before-")]
        assert b"a-token" in Message.restored(json.loads(copy)).body
        assert "a-token" not in files["audit.jsonl"] + files["plan.json"]

    def test_more_letters_than_one_answer_holds_are_all_found(self, commands: Commands, of_commands: Bench) -> None:
        for number in range(25):
            commands.put(f"poison {number}")
        assert fates(of_commands) == [("park", "not a command", 25)]
        assert len(commands.dead) == 25

    def test_a_queue_that_is_none_is_refused(self, commands: Commands, events: Events, of_commands: Bench) -> None:
        with pytest.raises(kit.Refused, match=r"no dead letters belong to bookin; queues are booking, .*events-"):
            of_commands.given(queue=["bookin"]).engine().dry_run()
