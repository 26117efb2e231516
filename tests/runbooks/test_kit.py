"""The kit's guarantees, each on an invented runbook that switches lamps on (tests/runbooks/lamps.py)."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError
from pydantic import SecretStr
from typer.testing import CliRunner

from runbooks import _kit as kit
from runbooks._kit import lock
from runbooks._kit.evidence import Evidence, canonical
from runbooks._kit.model import Exit
from scripts.deployment import ROOT
from scripts.local import processes
from scripts.local.monitoring import alertmanager
from tests.runbooks.bench import TERMS, Bench, outcomes
from tests.runbooks.environment import ACCOUNT, Environment
from tests.runbooks.lamps import Lamps, app, lamps, shine


@dataclass(frozen=True)
class CommandBench(Bench):
    """The invented runbook, also as a command."""

    def command(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of the command."""
        done = CliRunner().invoke(app, [*arguments, *self.shared, "--json"])
        return done.exit_code, json.loads(done.stdout)

    @property
    def shared(self) -> list[str]:
        return ["--environment", self.environment.name, "--evidence", str(self.folder)]


@pytest.fixture
def bench(environment: Environment, tmp_path: Path) -> CommandBench:
    return CommandBench(Lamps(), environment, tmp_path / "evidence")


class TestADryRun:
    def test_it_changes_nothing_and_says_what_would_be_done(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off", stairs="on")
        before = bench.environment.parameters()
        report = bench.engine().dry_run()
        assert bench.environment.parameters() == before
        assert (report.exit, outcomes(report)) == (Exit.DONE, {"door": "planned"})
        assert report.findings == [{"title": "dark lamps", "rows": [{"lamp": "door", "state": "off"}]}]

    def test_it_keeps_what_it_showed_for_its_owner_alone(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        folder = Path(bench.engine().dry_run().evidence)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]

    def test_it_says_that_nothing_is_to_be_done(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="on")
        assert bench.engine().dry_run().outcome == "nothing to do"


class TestApply:
    def test_it_does_what_was_confirmed_and_verifies(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off", stairs="dim")
        report = bench.applied()
        assert (report.exit, report.outcome) == (Exit.DONE, "all is well")
        assert shine(bench.environment) == {"door": "on", "stairs": "on"}
        assert [check["ok"] for check in report.verified] == [True, True]

    def test_a_second_time_it_does_nothing(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        plan = bench.planned()
        bench.applied(plan)
        before = bench.environment.parameters()
        report = bench.applied(plan)
        assert (report.exit, outcomes(report)) == (Exit.DONE, {"door": "done"})
        assert bench.environment.parameters() == before

    def test_what_somebody_else_has_done_meanwhile_is_not_done_again(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off", stairs="off")
        plan = bench.planned()
        lamps(bench.environment, door="on")
        assert outcomes(bench.applied(plan)) == {"door": "nothing to do any more", "stairs": "done"}

    def test_what_appeared_since_is_told_and_left(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        plan = bench.planned()
        lamps(bench.environment, stairs="off")
        report = bench.applied(plan)
        assert report.appeared == ["switch stairs on"]
        assert shine(bench.environment) == {"door": "on", "stairs": "off"}
        assert (report.exit, report.outcome) == (Exit.FAILED, "not all is well: stairs")

    def test_a_plan_that_has_changed_is_refused_before_anything_is_done(self, bench: CommandBench) -> None:
        lamps(bench.environment, cellar="off", door="off")
        plan = bench.planned()
        lamps(bench.environment, door="flickering")
        with pytest.raises(kit.Refused, match=r'door is not what the dry run .*"off".*"flickering"'):
            bench.applied(plan)
        assert shine(bench.environment)["cellar"] == "off"

    def test_an_id_that_no_dry_run_showed_is_refused(self, bench: CommandBench) -> None:
        with pytest.raises(kit.Refused, match=r"no dry run of lamps in .* has the id 'made-up'"):
            bench.applied("made-up")

    def test_a_plan_that_somebody_edited_is_refused(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        report = bench.engine().dry_run()
        file = Path(report.evidence) / "plan.json"
        file.write_text(file.read_text().replace('"door"', '"safe"'))
        with pytest.raises(kit.Refused, match=r"is not what the dry run .* wrote"):
            bench.applied(report.id)

    def test_other_options_than_those_of_the_dry_run_are_refused(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        with pytest.raises(kit.Refused, match=r'was planned with .*"hall".*, not .*"attic"'):
            bench.given(room="attic").applied(bench.planned())

    def test_a_plan_of_long_ago_is_refused(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        evidence, plan = Evidence.open(bench.folder, bench.environment.name, "lamps", bench.planned(), str)
        old = replace(plan, at=(datetime.now(UTC) - timedelta(hours=2)).isoformat())
        Evidence.write(evidence.folder.parents[2], old, str)
        with pytest.raises(kit.Refused, match="make a new dry run, and read it"):
            bench.applied(old.id)

    def test_what_was_done_and_is_called_for_again_needs_a_new_dry_run(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        plan = bench.planned()
        bench.applied(plan)
        lamps(bench.environment, door="off")
        with pytest.raises(kit.Refused, match=r"door was done by .* and is called for again"):
            bench.applied(plan)


class TestCaps:
    def test_what_is_beyond_the_cap_is_left_for_the_next_run(self, bench: CommandBench) -> None:
        lamps(bench.environment, **{f"lamp{number}": "off" for number in range(5)})
        report = bench.applied()
        assert (report.exit, report.left) == (Exit.PARTIAL, 2)
        assert list(shine(bench.environment).values()).count("on") == 3
        assert bench.applied().exit is Exit.DONE

    def test_the_person_may_lower_it(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off", stairs="off")
        assert bench.engine(cap=1).dry_run().outcome == "1 to do; 1 more are left for a next run"

    def test_there_is_a_pause_between_two_actions_and_none_after_the_last(
        self, bench: CommandBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr(Lamps, "pause", 7.0)
        monkeypatch.setattr("runbooks._kit.engine.time.sleep", slept.append)
        lamps(bench.environment, door="off", stairs="off", cellar="off")
        bench.applied()
        assert slept == [7.0, 7.0]

    def test_after_the_deadline_no_action_begins(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        report = bench.applied(terms=replace(TERMS, minutes=0))
        assert (report.exit, outcomes(report)) == (Exit.PARTIAL, {"door": "left"})
        assert "the deadline of 0 minutes is over" in report.outcome
        assert shine(bench.environment) == {"door": "off"}


class TestWhenSomethingGoesWrong:
    def test_the_first_failure_ends_it_and_what_was_done_stays(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off", b="burnt out", c="off")
        report = bench.applied()
        assert (report.exit, outcomes(report)) == (Exit.PARTIAL, {"a": "done", "b": "failed", "c": "left"})
        assert report.outcome == "switch b on: b is burnt out"
        assert lock.holder(bench.environment.aws("ssm"), bench.environment.name, "lamps") is None

    def test_when_nothing_was_done_it_has_failed(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="burnt out")
        assert bench.applied().exit is Exit.FAILED

    def test_an_action_may_say_that_going_on_would_do_harm(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off", b="smoking", c="off")
        report = bench.applied()
        assert (report.exit, outcomes(report)) == (Exit.PARTIAL, {"a": "done", "b": "left", "c": "left"})

    def test_interrupted_half_way_and_run_again_it_ends_well(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off", b="off", c="off")
        plan = bench.planned()
        first = bench.interrupted(plan)
        assert (first.exit, outcomes(first)) == (Exit.PARTIAL, {"a": "done", "b": "left", "c": "left"})
        second = bench.applied(plan)
        assert (second.exit, set(outcomes(second).values())) == (Exit.DONE, {"done"})
        assert [line["action"] for line in bench.audit(plan) if line["event"] == "done"] == ["a", "b", "c"]

    def test_after_a_crash_between_the_change_and_its_line_the_audit_goes_on(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off", b="off")
        plan = bench.planned()
        bench.interrupted(plan)
        file = bench.folder / bench.environment.name / "lamps" / plan / "audit.jsonl"
        file.write_text(file.read_text()[:-20])
        assert bench.applied(plan).exit is Exit.DONE
        assert shine(bench.environment) == {"a": "on", "b": "on"}


class TestTheLock:
    def hold(self, bench: CommandBench, *, minutes: float, who: str = "somebody") -> Any:
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        ssm = bench.environment.aws("ssm")
        return lock.holding(ssm, bench.environment.name, "lamps", who=who, ticket="OPS-2", run="other", until=until)

    def test_a_second_run_is_refused_and_told_who_is_at_work(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        plan = bench.planned()
        with self.hold(bench, minutes=5), pytest.raises(kit.Refused, match=r"somebody runs this .*ticket OPS-2"):
            bench.applied(plan)
        assert shine(bench.environment) == {"door": "off"}

    def test_it_tells_who_is_at_work_while_it_is_held_and_no_longer(self, bench: CommandBench) -> None:
        ssm, name = bench.environment.aws("ssm"), bench.environment.name
        with self.hold(bench, minutes=5):
            found = lock.holder(ssm, name, "lamps")
            assert found is not None
            assert (found.who, found.ticket) == ("somebody", "OPS-2")
            assert lock.holder(ssm, name, "other") is None
        assert lock.holder(ssm, name, "lamps") is None

    def test_one_that_was_left_behind_is_taken_over_and_this_is_written_down(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        plan = bench.planned()
        with self.hold(bench, minutes=-1, who="a dead run"):
            assert lock.holder(bench.environment.aws("ssm"), bench.environment.name, "lamps") is None
            assert bench.applied(plan).exit is Exit.DONE
        [locked] = [line for line in bench.audit(plan) if line["event"] == "locked"]
        assert locked["took_over"]["who"] == "a dead run"

    def test_of_many_who_take_over_one_has_it(self, bench: CommandBench) -> None:
        ssm, name, until = (
            bench.environment.aws("ssm"),
            bench.environment.name,
            datetime.now(UTC) + timedelta(minutes=5),
        )
        begin, done = threading.Barrier(6), threading.Barrier(6)

        def take(number: int) -> str:
            """The number of whoever has it; it is held until everybody has tried."""
            begin.wait()
            try:
                with lock.holding(ssm, name, "lamps", who=str(number), ticket="", run="", until=until):
                    done.wait()
                    return str(number)
            except kit.Refused:
                done.wait()
                return ""

        with self.hold(bench, minutes=-1), ThreadPoolExecutor(6) as pool:
            assert len([number for number in pool.map(take, range(6)) if number]) == 1
        assert [each for each in bench.environment.parameters() if "lock" in each] == []


class TestTheSilence:
    def test_alarms_that_lead_here_wake_nobody_while_somebody_is_at_work_and_others_do(
        self, bench: CommandBench
    ) -> None:
        lamps(bench.environment, door="off", stairs="off")
        bench.environment.alarm("stuck_saga")
        seen: list[Mapping[str, Any]] = []

        def stopping() -> bool:
            seen.extend(bench.environment.mutes.values())
            return False

        plan = bench.planned()
        bench.applied(plan, replace(TERMS, stopping=stopping))
        [rule] = {each["Name"]: each for each in seen}.values()
        assert rule["MuteTargets"] == {"AlarmNames": [f"{bench.environment.name}-lamps"]}
        assert rule["ExpireDate"] - datetime.now(UTC) < timedelta(minutes=TERMS.minutes + 5)
        assert bench.environment.mutes == {}

    def test_it_ends_with_the_run_also_when_the_run_fails(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="burnt out")
        assert bench.applied().exit is Exit.FAILED
        assert bench.environment.mutes == {}

    def test_when_alarms_cannot_be_muted_the_work_is_done_and_the_audit_says_so(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")

        def away(_: object) -> Mapping[str, Any]:
            raise EndpointConnectionError(endpoint_url="https://monitoring.example.com")

        bench.environment.answers["cloudwatch:PutAlarmMuteRule"] = away
        plan = bench.planned()
        assert bench.applied(plan).exit is Exit.DONE
        assert bench.audit(plan)[0]["alarms"].startswith("alarms may ring meanwhile: ")
        assert bench.audit(plan)[0]["alerts"].startswith("alerts may ring meanwhile: ")

    def test_alerts_that_lead_here_are_silent_in_a_real_alertmanager_for_as_long(
        self, bench: CommandBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lamps(bench.environment, door="off", stairs="off")
        server, teller = alertmanager.create(tmp_path / "alertmanager", "127.0.0.1")
        monkeypatch.setenv("ALERTMANAGER_URL", teller.url)
        seen: list[Any] = []

        def stopping() -> bool:
            seen.extend(httpx.get(f"{teller.url}/api/v2/silences").json())
            return False

        with processes.serving(server, teller.ready):
            bench.applied(None, replace(TERMS, stopping=stopping))
            [ended] = httpx.get(f"{teller.url}/api/v2/silences").json()
        matcher = {"name": "runbook", "value": "lamps", "isRegex": False, "isEqual": True}
        assert seen
        assert all((each["status"]["state"], each["matchers"]) == ("active", [matcher]) for each in seen)
        assert ended["status"]["state"] == "expired"


class TestTheAudit:
    def test_it_says_who_did_what_for_which_ticket_before_and_after(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        plan = bench.planned()
        bench.applied(plan)
        lines = bench.audit(plan)
        assert [line["event"] for line in lines] == ["locked", "started", "done", "verified", "released"]
        for line in lines:
            assert line["run"] == plan
            assert line["runbook"] == "lamps"
            assert line["ticket"] == "OPS-1"
            assert line["account"] == ACCOUNT
            assert line["environment"] == bench.environment.name
            assert line["who"].startswith("arn:aws:")
            assert datetime.fromisoformat(line["at"]).tzinfo is not None
        done = lines[2]
        assert (done["action"], done["before"], done["after"]) == ("door", {"state": "off"}, {"state": "on"})

    def test_a_failure_is_in_it_with_its_reason(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="burnt out")
        plan = bench.planned()
        bench.applied(plan)
        [failed] = [line for line in bench.audit(plan) if line["event"] == "failed"]
        assert failed["error"] == "door is burnt out"

    def test_a_secret_that_was_read_is_masked_wherever_it_turns_up(self, bench: CommandBench) -> None:
        arn = bench.environment.secret("login", {"username": "somebody", "password": "the-password-itself"})
        target = bench.environment.target()
        assert target.secret(arn)["password"] == "the-password-itself"
        report = bench.engine().dry_run()
        evidence = Evidence(Path(report.evidence), target.masked)
        evidence.audit("failed", error="postgresql://somebody:the-password-itself@host")
        assert "the-password-itself" not in (evidence.folder / "audit.jsonl").read_text()
        assert "somebody" in (evidence.folder / "audit.jsonl").read_text()

    def test_a_value_that_is_a_secret_by_type_is_never_written(self) -> None:
        assert "hidden" not in canonical({"password": SecretStr("hidden")})

    def test_a_value_that_cannot_be_written_down_is_an_error_and_not_a_guess(self) -> None:
        with pytest.raises(TypeError, match="object"):
            canonical({"what": object()})


class TestRollback:
    def test_it_takes_back_the_last_first_to_what_the_snapshots_say(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off", b="dim")
        plan = bench.planned()
        bench.applied(plan)
        report = bench.engine().rollback(plan, TERMS)
        assert (report.exit, report.outcome) == (Exit.DONE, "2 taken back")
        assert shine(bench.environment) == {"a": "off", "b": "dim"}
        assert [line["action"] for line in bench.audit(plan) if line["event"] == "undone"] == ["b", "a"]

    def test_without_being_told_to_it_only_says_what_it_would_take_back(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off")
        plan = bench.planned()
        bench.applied(plan)
        assert bench.engine().rollback(plan, None).outcome == "1 to take back"
        assert shine(bench.environment) == {"a": "on"}

    def test_a_second_time_it_does_nothing(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off")
        plan = bench.planned()
        bench.applied(plan)
        bench.engine().rollback(plan, TERMS)
        lamps(bench.environment, a="on")
        assert bench.engine().rollback(plan, TERMS).outcome == "nothing to take back"
        assert shine(bench.environment) == {"a": "on"}

    def test_what_cannot_be_undone_is_told_with_its_reason(self, bench: Any) -> None:
        lamps(bench.environment, a="off", b="off")
        bench = bench.given(glued="b")
        plan = bench.planned()
        bench.applied(plan)
        report = bench.engine().rollback(plan, TERMS)
        assert (report.exit, report.outcome) == (Exit.PARTIAL, "1 taken back, 1 cannot be")
        assert outcomes(report) == {"b": "cannot be undone", "a": "undone"}

    def test_only_what_was_done_is_taken_back(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off", b="burnt out")
        plan = bench.planned()
        bench.applied(plan)
        assert outcomes(bench.engine().rollback(plan, TERMS)) == {"a": "undone"}


class TestWhereItWorks:
    def test_another_account_than_the_one_that_was_named_is_refused(self, environment: Environment) -> None:
        with pytest.raises(kit.Refused, match=f"account {ACCOUNT}, --account says 999999999999"):
            environment.target(account="999999999999")

    def test_an_environment_that_is_not_there_is_refused(self, environment: Environment) -> None:
        environment.name = "elsewhere"
        with pytest.raises(kit.Refused, match=r"no parameter /elsewhere/operations .* so no environment 'elsewhere'"):
            environment.target()

    @pytest.mark.parametrize(
        ("field", "value"), [("account", "999999999999"), ("region", "us-east-1"), ("environment", "another")]
    )
    def test_a_record_of_another_environment_is_refused(self, environment: Environment, field: str, value: str) -> None:
        environment.write(**{field: value})
        with pytest.raises(kit.Refused, match=f"/operations is of .*{value}"):
            environment.target()

    def test_what_takes_minutes_is_waited_for_and_not_asked_twice(self, environment: Environment) -> None:
        target = environment.target()
        patient = target.client("lambda", answers_within=310)
        assert patient.meta.config.read_timeout == 310
        assert target.client("lambda") is not patient
        assert target.client("lambda").meta.config.read_timeout == 60

    def test_a_record_of_an_older_stack_is_refused_with_what_it_lacks(self, environment: Environment) -> None:
        del environment.record["namespace"]
        environment.write()
        with pytest.raises(kit.Refused, match="lacks namespace: bring the stack up"):
            environment.target()

    def test_a_plan_of_another_environment_is_refused(self, bench: CommandBench, environment: Environment) -> None:
        lamps(environment, door="off")
        plan = bench.planned()
        folder = bench.folder / environment.name
        environment.name = f"{environment.name}-b"
        environment.write(environment=environment.name)
        folder.rename(bench.folder / environment.name)
        with pytest.raises(kit.Refused, match="was planned for"):
            bench.applied(plan)


class TestTheCommand:
    def test_without_apply_it_is_a_dry_run(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        code, said = bench.command()
        assert (code, said["mode"], said["outcome"]) == (0, "dry run", "1 to do")
        assert shine(bench.environment) == {"door": "off"}

    def test_what_was_shown_is_done_when_it_is_confirmed(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        _, said = bench.command()
        code, done = bench.command("--apply", "--ticket", "OPS-1", "--confirm", said["id"], "--account", ACCOUNT)
        assert (code, done["outcome"]) == (0, "all is well")
        code, back = bench.command("--rollback", said["id"], "--apply", "--ticket", "OPS-1")
        assert (code, back["outcome"]) == (0, "1 taken back")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--apply", "--ticket", "OPS-1"], "--apply needs --confirm ID"),
            (["--apply", "--confirm", "abc"], "--apply needs --ticket"),
            (["--confirm", "abc"], "--confirm belongs to --apply"),
            (["--apply", "--confirm", "abc", "--rollback", "abc", "--ticket", "OPS-1"], "--confirm belongs to --apply"),
            (["--verify", "--rollback", "abc"], "--verify changes nothing"),
            (["--account", "999999999999"], "--account says 999999999999"),
            (["--apply", "--confirm", "abc", "--ticket", "OPS-1"], "has the id 'abc'"),
        ],
    )
    def test_what_does_not_go_together_is_refused_with_exit_2(
        self, bench: CommandBench, arguments: list[str], says: str
    ) -> None:
        lamps(bench.environment, door="off")
        code, said = bench.command(*arguments)
        assert (code, said["exit"]) == (2, 2)
        assert says in said["outcome"]
        assert shine(bench.environment) == {"door": "off"}

    @pytest.mark.parametrize(("state", "code"), [("on", 0), ("off", 1)])
    def test_verify_says_whether_all_is_well(self, bench: CommandBench, state: str, code: int) -> None:
        lamps(bench.environment, door=state)
        assert bench.command("--verify")[0] == code

    def test_a_failure_of_aws_is_one_line_and_exit_1(
        self, bench: CommandBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        code, said = bench.command()
        assert code == 1
        assert said["outcome"].startswith("EndpointConnectionError: ")

    def test_people_get_tables_and_the_command_to_type_next(self, bench: CommandBench) -> None:
        lamps(bench.environment, door="off")
        done = CliRunner().invoke(app, bench.shared)
        assert "switch door on" in done.stdout
        assert "--apply --ticket TICKET --confirm" in done.stdout

    def test_an_interrupt_lets_the_action_end_and_says_how_to_go_on(self, bench: CommandBench) -> None:
        lamps(bench.environment, a="off", b="off", c="off")
        program = (
            "import os, signal, sys; from tests.runbooks import lamps as it; do = it.Lamps.do\n"
            "def interrupted(self, target, action):\n"
            "    os.kill(os.getpid(), signal.SIGINT); return do(self, target, action)\n"
            "it.Lamps.do = interrupted; it.app()"
        )
        apply = ["--apply", "--ticket", "OPS-1", "--confirm", bench.planned()]
        done = subprocess.run(
            [sys.executable, "-c", program, *bench.shared, *apply],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 4, done.stderr
        assert "interrupted: 1 of 3 carried out, the rest is left" in done.stderr
        assert "to go on: " in done.stdout
        assert shine(bench.environment) == {"a": "on", "b": "off", "c": "off"}
        assert lock.holder(bench.environment.aws("ssm"), bench.environment.name, "lamps") is None
