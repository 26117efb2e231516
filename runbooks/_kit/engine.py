"""How a runbook is run: dry, for real, or backwards. Nothing here knows a particular runbook."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runbooks._kit import lock, silence
from runbooks._kit.evidence import Evidence, Plan, canonical
from runbooks._kit.model import Action, Check, Exit, Refused, Runbook, Stop
from runbooks._kit.target import Target

# A plan that was read so long ago was read about something else.
_FRESH = timedelta(hours=1)
# The lock outlives the deadline by what the action may take that was begun before it.
_LAST_ACTION = timedelta(minutes=5)
DONE, FOUND, FAILED, LEFT, UNDONE, PLANNED, NO_UNDO = (
    "done", "nothing to do any more", "failed", "left", "undone", "planned", "cannot be undone",
)  # fmt: skip


@dataclass
class Report:
    """What a run tells: everything that people and scripts may want to know of it."""

    runbook: str
    mode: str
    environment: str
    account: str
    region: str
    who: str
    exit: Exit = Exit.DONE
    outcome: str = ""
    id: str = ""
    findings: Sequence[Mapping[str, Any]] = ()
    actions: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    appeared: list[str] = field(default_factory=list)
    """Actions that are called for now and were not part of what was confirmed."""
    verified: Sequence[Mapping[str, Any]] = ()
    evidence: str = ""

    def ended(self, code: Exit, outcome: str) -> Report:
        """This report, with how it ended."""
        self.exit, self.outcome = code, outcome
        return self


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Under what terms something is changed. ``stopping`` is asked before each action."""

    ticket: str
    minutes: float
    stopping: Callable[[], bool] = lambda: False


class Engine:
    """One runbook with its options, on one environment."""

    def __init__(self, runbook: Runbook[Any], target: Target, root: Path, *, cap: int | None = None) -> None:
        self._runbook, self._target, self._root = runbook, target, root
        self._cap = cap or runbook.cap

    def dry_run(self) -> Report:
        """Look, and say what would be done; changes nothing and keeps what it showed."""
        plan = self._planned(self._runbook.check(self._target))
        evidence = Evidence.write(self._root, plan, self._target.masked)
        report = self._report("dry run", plan, evidence)
        report.actions = [_row(action, PLANNED) for action in plan.actions]
        if not plan.actions:
            return report.ended(Exit.DONE, "nothing to do")
        beyond = f"; {plan.left} more are left for a next run" if plan.left else ""
        return report.ended(Exit.DONE, f"{len(plan.actions)} to do{beyond}")

    def verify(self) -> Report:
        """Whether all is well now; changes nothing."""
        report = self._report("verify")
        return self._verified(report)

    def apply(self, plan_id: str, terms: Terms) -> Report:
        """Do what the dry run ``plan_id`` showed, as far as it is still called for; goes on where a run was cut short.

        Raises Refused when something of it is different now.
        """
        evidence, plan = self._stored(plan_id)
        before = evidence.done()
        self._fresh(evidence, plan)
        findings = self._runbook.check(self._target)
        now = self._planned(findings, capped=False)
        wanted, current = ({action.id: action for action in each.actions} for each in (plan, now))
        for action_id in wanted.keys() & current.keys():
            if canonical(asdict(wanted[action_id])) != canonical(asdict(current[action_id])):
                then, today = (canonical(each[action_id].before) for each in (wanted, current))
                raise Refused(
                    f"{action_id} is not what the dry run {plan_id} showed: {then} then, {today} now; make a new one"
                )
            if action_id in before:
                raise Refused(f"{action_id} was done by {plan_id} and is called for again: make a new dry run")
        report = self._report("apply", now, evidence)
        report.id, report.left = plan_id, plan.left
        report.appeared = [action.what for action in now.actions if action.id not in wanted]
        todo = [each for each in plan.actions if each.id in current]
        rows = {each.id: _row(each, DONE if each.id in before else FOUND) for each in plan.actions}
        rows |= {each.id: _row(each, LEFT) for each in todo}
        report.actions = list(rows.values())
        carried_out: list[Action] = []
        if not todo:
            return self._verified(report) if plan.actions else report.ended(Exit.DONE, "nothing to do")

        def step(action: Action) -> None:
            if carried_out:
                self._runbook.watch(self._target, findings, carried_out)
            if (snapshot := self._runbook.snapshot(self._target, action)) is not None:
                evidence.snapshot(action, snapshot)
            evidence.audit("started", action)
            result = dict(self._runbook.do(self._target, action))
            evidence.audit("done", action, result=result)
            carried_out.append(action)
            rows[action.id] |= {"outcome": DONE, "result": result}

        with self._changing(evidence, plan_id, terms) as deadline:
            if self._each(todo, step, report, evidence, lambda: _reason(terms, deadline)):
                self._verified(report)
                evidence.audit("verified", checks=report.verified)
                if plan.left:
                    report.ended(Exit.PARTIAL, f"{len(todo)} done, {plan.left} beyond the cap are left: run it again")
        return report

    def rollback(self, plan_id: str, terms: Terms | None) -> Report:
        """Take back what the run ``plan_id`` did, the last first; only says so without ``terms``."""
        evidence, plan = self._stored(plan_id)
        results, actions = evidence.done(), {action.id: action for action in plan.actions}
        done = [actions[action_id] for action_id in reversed(results)]
        todo = [each for each in done if not each.no_undo]
        rows = {each.id: _row(each, NO_UNDO if each.no_undo else PLANNED) for each in done}
        report = self._report("rollback", None, evidence)
        report.id, report.actions = plan_id, list(rows.values())
        if terms is None or not todo:
            return report.ended(Exit.DONE, f"{len(todo)} to take back" if todo else "nothing to take back")

        def step(action: Action) -> None:
            evidence.audit("undoing", action)
            self._runbook.undo(self._target, action, results[action.id], evidence.kept(action))
            evidence.audit("undone", action)
            rows[action.id]["outcome"] = UNDONE

        with self._changing(evidence, plan_id, terms) as deadline:
            if self._each(todo, step, report, evidence, lambda: _reason(terms, deadline)):
                kept = len(done) - len(todo)
                code = Exit.PARTIAL if kept else Exit.DONE
                report.ended(code, f"{len(todo)} taken back" + (f", {kept} cannot be" if kept else ""))
        return report

    def _planned(self, findings: Any, *, capped: bool = True) -> Plan:
        actions = list(self._runbook.plan(findings))
        kept = actions[: self._cap] if capped else actions
        shown = [table.as_dict() for table in findings.tables()]
        # As it will be read again, and without anything that must not be written.
        written = json.loads(self._target.masked(canonical({"shown": shown, "kept": [asdict(each) for each in kept]})))
        return Plan(
            runbook=self._runbook.name(),
            place=self._target.identity.place,
            options=json.loads(canonical(self._runbook.options())),
            at=datetime.now(UTC).isoformat(),
            findings=written["shown"],
            actions=[Action(**each) for each in written["kept"]],
            left=len(actions) - len(kept),
        )

    def _stored(self, plan_id: str) -> tuple[Evidence, Plan]:
        identity, name = self._target.identity, self._runbook.name()
        evidence, plan = Evidence.open(self._root, identity.environment, name, plan_id, self._target.masked)
        if plan.place != identity.place:
            raise Refused(f"{plan_id} was planned for {' '.join(plan.place)}, this is {' '.join(identity.place)}")
        return evidence, plan

    def _fresh(self, evidence: Evidence, plan: Plan) -> None:
        options = json.loads(canonical(self._runbook.options()))
        if options != plan.options:
            raise Refused(f"{plan.id} was planned with {canonical(plan.options)}, not {canonical(options)}")
        at = evidence.last() or datetime.fromisoformat(plan.at)
        if datetime.now(UTC) - at > _FRESH:
            raise Refused(f"{plan.id} is of {at.isoformat(timespec='seconds')}: make a new dry run, and read it")

    @contextmanager
    def _changing(self, evidence: Evidence, plan_id: str, terms: Terms) -> Iterator[datetime]:
        """Hold the lock, in silence, and write down that one did; gives the deadline."""
        identity, name = self._target.identity, self._runbook.name()
        deadline = datetime.now(UTC) + timedelta(minutes=terms.minutes)
        evidence.common = {"run": plan_id, "runbook": name, **asdict(identity), "ticket": terms.ticket}
        until = deadline + _LAST_ACTION
        with (
            lock.holding(
                self._target.client("ssm"),
                identity.environment,
                name,
                who=identity.who,
                ticket=terms.ticket,
                run=plan_id,
                until=until,
            ) as expired,
            silence.alarms(self._target.client("cloudwatch"), identity.environment, name, until=until) as alarms,
            silence.alerts(self._target, name, until=until) as alerts,
        ):
            evidence.audit("locked", took_over=asdict(expired) if expired else None, alarms=alarms, alerts=alerts)
            try:
                yield deadline
            finally:
                evidence.audit("released")

    def _each(
        self,
        actions: Sequence[Action],
        step: Callable[[Action], None],
        report: Report,
        evidence: Evidence,
        reason: Callable[[], str],
    ) -> bool:
        """One after the other, for as long as going on is right; whether all were carried out."""
        for number, action in enumerate(actions):
            if number and self._runbook.pause:
                time.sleep(self._runbook.pause)
            if why := reason():
                evidence.audit("stopped", reason=why)
                report.ended(Exit.PARTIAL, f"{why}: {number} of {len(actions)} carried out, the rest is left")
                return False
            try:
                step(action)
            except Exception as error:  # one change at a time: whatever went wrong, the rest is left
                detail = self._target.masked(str(error) or type(error).__name__)
                evidence.audit("failed", action, error=detail)
                row = next(row for row in report.actions if row["id"] == action.id)
                row["outcome"] = LEFT if isinstance(error, Stop) else FAILED
                report.ended(Exit.PARTIAL if number else Exit.FAILED, f"{action.what}: {detail}")
                return False
        return True

    def _verified(self, report: Report) -> Report:
        checks: Sequence[Check] = self._runbook.verify(self._target)
        report.verified = [asdict(check) for check in checks]
        wrong = [check.name for check in checks if not check.ok]
        if wrong:
            return report.ended(Exit.FAILED, f"not all is well: {', '.join(wrong)}")
        return report.ended(Exit.DONE, "all is well")

    def _report(self, mode: str, plan: Plan | None = None, evidence: Evidence | None = None) -> Report:
        report = Report(runbook=self._runbook.name(), mode=mode, **asdict(self._target.identity))
        if plan:
            report.id, report.findings, report.left = plan.id, plan.findings, plan.left
        report.evidence = str(evidence.folder) if evidence else ""
        return report


def _reason(terms: Terms, deadline: datetime) -> str:
    """Why no further action may begin; empty when it may."""
    if terms.stopping():
        return "interrupted"
    return f"the deadline of {terms.minutes:g} minutes is over" if datetime.now(UTC) >= deadline else ""


def _row(action: Action, outcome: str) -> dict[str, Any]:
    return {**asdict(action), "outcome": outcome}
