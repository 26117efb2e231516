"""Serve a pack so that each resource meets the rules of its type only, and is read once.

The SDK reads a resource anew for every policy of the pack, and every resource of the stack anew for every stack policy:
with some two hundred policies and a thousand resources that is most of a preview. Here one look-up by type finds the
few policies that apply, a stack policy is handed the types that it asks for, and what was read for one policy is shown
to the next: policies change nothing of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from threading import local
from types import SimpleNamespace
from typing import Any

import pulumi_policy as sdk
from google.protobuf import json_format
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import policy as protocol

from policies.kit import Rule, published


class _Read(local):
    """What was made of the parts of a request, while it is answered; each thread answers one at a time."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def once(self, make: Callable[..., Any], given: Any, *rest: Any) -> Any:
        """``make(given, *rest)``, or what it was before."""
        key = (make, id(given), *rest)
        if key not in self._made:
            # The part is kept, too: its id is its own as long as it lives.
            self._made[key] = given, make(given, *rest)
        return self._made[key][1]

    def forget(self) -> None:
        self._made.clear()


_READ = _Read()


def serve(name: str, rules: Sequence[Rule]) -> None:
    """Serve ``rules`` to the engine. Blocks for ever."""
    protocol._PolicyAnalyzerServicer = judge_of(rules)  # type: ignore[misc]
    for module, reads in (
        (json_format, "MessageToDict"),
        (protocol, "deserialize_properties"),
        (protocol, "unknown_checking_proxy"),
    ):
        setattr(module, reads, partial(_READ.once, getattr(module, reads)))
    sdk.PolicyPack(
        name=name, enforcement_level=sdk.EnforcementLevel.MANDATORY, policies=[published(one) for one in rules]
    )


def judge_of(rules: Sequence[Rule]) -> type[Any]:
    """The SDK's own servicer, asked through a table from type to rules."""
    base: type[Any] = protocol._PolicyAnalyzerServicer
    by_type, mended = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for one in rules:
        if one.check is not None:
            for kind in one.types:
                by_type[kind].append(one.name)
                if one.mends:
                    mended[kind].append(one.name)
    stacks = [one for one in rules if one.stack is not None]

    class Dispatching(base):  # type: ignore[misc]
        def __init__(self, name: str, version: str, policies: list[sdk.Policy], *rest: Any) -> None:
            super().__init__(name, version, policies, *rest)
            self._policies = {policy.name: policy for policy in policies}
            self._head, self._rest = (name, version), rest
            self._configured: list[tuple[str, Any]] = []
            self._judges: dict[tuple[str, ...], Any] = {}

        def Analyze(self, request: Any, context: Any) -> Any:  # noqa: N802
            _READ.forget()
            names = by_type.get(request.type)
            return self._judge(*names).Analyze(request, context) if names else analyzer_pb2.AnalyzeResponse()

        def Remediate(self, request: Any, context: Any) -> Any:  # noqa: N802
            _READ.forget()
            names = mended.get(request.type)
            return self._judge(*names).Remediate(request, context) if names else analyzer_pb2.RemediateResponse()

        def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: N802
            _READ.forget()
            answer = analyzer_pb2.AnalyzeResponse()
            by_kind: dict[str, list[Any]] = defaultdict(list)
            for resource in request.resources:
                by_kind[resource.type].append(resource)
            for one in stacks:
                seen = [resource for kind in one.types for resource in by_kind.get(kind, ())]
                if seen:
                    # Not a request of the protocol, which would be of copies, each to be read again.
                    part = SimpleNamespace(resources=seen)
                    answer.MergeFrom(self._judge(one.name).AnalyzeStack(part, context))
            return answer

        def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
            return self._remember("Configure", request, context)

        def ConfigureStack(self, request: Any, context: Any) -> Any:  # noqa: N802
            return self._remember("ConfigureStack", request, context)

        def _remember(self, call: str, request: Any, context: Any) -> Any:
            """Configure this servicer now, and those for a few policies when they are made."""
            self._configured.append((call, request))
            self._judges.clear()
            return getattr(super(), call)(request, context)

        def _judge(self, *names: str) -> Any:
            if names not in self._judges:
                made = base(*self._head, [self._policies[name] for name in names], *self._rest)
                for call, request in self._configured:
                    getattr(made, call)(request, None)
                self._judges[names] = made
            return self._judges[names]

    return Dispatching
