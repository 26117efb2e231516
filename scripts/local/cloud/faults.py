"""What goes wrong on demand: throttling, a create that fails or stops half way, a slow create.

A fault is armed over the control endpoint, strikes the calls or resources that it names ``times`` times, and is
then spent.
Drift needs no fault of its own kind: ``{"kind": "drift", ...}`` makes one AWS call at once, past the engine.
"""

from __future__ import annotations

import fnmatch
import threading
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(default_factory=lambda: uuid.uuid4().hex[:8])


class Throttle(_Fault):
    """``times`` calls matching ``call`` (``sqs.create_queue``, ``ec2.*``) are answered with ThrottlingException."""

    kind: Literal["throttle"]
    call: str = "*"
    times: int = Field(default=1, ge=1)


class FailedCreate(_Fault):
    """Creates of resources matching type and name fail; ``half_way``: after the resource was made."""

    kind: Literal["failed-create"]
    type: str = "*"
    name: str = "*"
    code: str = "InternalFailure"
    message: str = "injected by the test"
    half_way: bool = False
    times: int = Field(default=1, ge=1)


class SlowCreate(_Fault):
    """Creates of resources matching type and name take ``seconds`` longer."""

    kind: Literal["slow-create"]
    type: str = "*"
    name: str = "*"
    seconds: float = Field(gt=0, le=3600)
    times: int = Field(default=1, ge=1)


class Drift(_Fault):
    """One AWS call made now, as somebody in the console would: ``{"service": "sqs", "method": ..., "parameters":
    {}}``.
    """

    kind: Literal["drift"]
    service: str
    method: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    region: str | None = None
    times: int = 1


Fault = Annotated[Throttle | FailedCreate | SlowCreate | Drift, Field(discriminator="kind")]
_PARSE: TypeAdapter[Fault] = TypeAdapter(Fault)


class Faults:
    """The armed faults and how often each may still strike. Safe for use by several threads."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[Fault, int]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def arm(self, description: Mapping[str, Any]) -> Fault:
        """Arm one; raises pydantic.ValidationError for a description that is wrong."""
        fault = _PARSE.validate_python(description)
        with self._lock:
            self._left[fault.id] = (fault, fault.times)
        return fault

    def armed(self) -> list[dict[str, Any]]:
        """What is armed, with the number of strikes left."""
        with self._lock:
            return [{**fault.model_dump(), "left": left} for fault, left in self._left.values()]

    def disarm(self, id: str) -> None:
        """Take one back."""
        with self._lock:
            self._left.pop(id, None)

    def clear(self) -> None:
        """Disarm everything and end every wait."""
        with self._lock:
            self._left.clear()
        self._wake.set()
        self._wake = threading.Event()

    def strike(self, service: str, method: str) -> None:
        """Raise ThrottlingException if a fault says so; called before every AWS call of the providers."""
        called = f"{service}.{method}"
        if self._take(lambda fault: isinstance(fault, Throttle) and fnmatch.fnmatchcase(called, fault.call)):
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, method)

    def slow(self, type: str, name: str) -> None:
        """Wait as long as a fault says; ends early when the faults are cleared."""
        fault = self._take(lambda fault: isinstance(fault, SlowCreate) and _names(fault, type, name))
        if isinstance(fault, SlowCreate):
            self.pause(fault.seconds)

    def failure(self, type: str, name: str, *, half_way: bool) -> FailedCreate | None:
        """The fault that this create meets, before (``half_way`` False) or after the resource was made."""
        fault = self._take(
            lambda fault: isinstance(fault, FailedCreate) and fault.half_way == half_way and _names(fault, type, name)
        )
        return fault if isinstance(fault, FailedCreate) else None

    def pause(self, seconds: float) -> None:
        """Wait, unless the faults are cleared meanwhile."""
        self._wake.wait(seconds)

    def _take(self, matches: Any) -> Fault | None:
        with self._lock:
            for id, (fault, left) in self._left.items():
                if matches(fault):
                    if left > 1:
                        self._left[id] = (fault, left - 1)
                    else:
                        del self._left[id]
                    return fault
        return None


def _names(fault: FailedCreate | SlowCreate, type: str, name: str) -> bool:
    return fnmatch.fnmatchcase(type, fault.type) and fnmatch.fnmatchcase(name, fault.name)
