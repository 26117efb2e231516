"""A pod's status out of its containers' statuses: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.local.kubernetes.api import Object

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
TERMINAL = (SUCCEEDED, FAILED)


def phase(containers: Sequence[Object], policy: str, *, initialised: bool, ending: bool, init_failed: bool) -> str:
    """The phase, as https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase defines it."""
    codes = [state["terminated"]["exitCode"] for each in containers if "terminated" in (state := each["state"])]
    if init_failed:
        return FAILED
    final = ending or policy == "Never" or (policy == "OnFailure" and not any(codes))
    if final and len(codes) == len(containers):
        return FAILED if any(codes) else SUCCEEDED
    if ending and not initialised:
        return FAILED
    began = any("waiting" not in each["state"] or each["restartCount"] for each in containers)
    return RUNNING if initialised and began else PENDING


def conditions(before: Sequence[Object], now: str, verdicts: Mapping[str, tuple[bool, str, str]]) -> list[Object]:
    """``verdicts`` (type → holds, reason, message) as conditions; the time of the last change is kept."""
    known = {condition["type"]: condition for condition in before}
    result = []
    for kind, (holds, reason, message) in verdicts.items():
        status = "True" if holds else "False"
        earlier = known.get(kind, {})
        changed = earlier.get("lastTransitionTime") if earlier.get("status") == status else now
        condition = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": changed or now}
        # An empty reason has to be sent to take an earlier one away.
        condition |= {"reason": reason or None, "message": message or None}
        result.append(condition)
    return result


def verdicts(
    containers: Sequence[Object], init: Sequence[Object], *, phase: str, sandbox: bool, initialised: bool
) -> dict[str, tuple[bool, str, str]]:
    """The pod's conditions but PodScheduled, which is the scheduler's."""
    unready = [each["name"] for each in containers if not each["ready"]]
    foreign = [each for each in (*init, *containers) if reason(each) == "NotRunLocally"]
    if phase == SUCCEEDED:
        why = "PodCompleted", ""
    elif phase == FAILED:
        why = "PodFailed", ""
    elif foreign:
        why = "NotRunLocally", foreign[0]["state"]["waiting"]["message"]
    elif unready:
        why = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    else:
        why = "", ""
    ready = not unready and initialised and phase == RUNNING
    pending = [each["name"] for each in init if not _done(each)]
    why_init = ("", "") if initialised else ("ContainersNotInitialized", f"containers not initialised: {pending}")
    return {
        "PodReadyToStartContainers": (sandbox, "", ""),
        "Initialized": (initialised, *why_init),
        "ContainersReady": (ready, *(("", "") if ready else why)),
        "Ready": (ready, *(("", "") if ready else why)),
    }


def reason(container: Object) -> str:
    """Why a container waits, "" when it does not."""
    return str((container["state"].get("waiting") or {}).get("reason", ""))


def _done(container: Object) -> bool:
    return bool(container.get("started")) or (container["state"].get("terminated") or {}).get("exitCode") == 0
