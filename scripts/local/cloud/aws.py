"""The aws provider: the tables of `services/` applied to one account.

A create is checked by the SDK's types and botocore's model, made by moto, completed by further calls and read back;
what AWS reports fills the outputs. A property that create takes and no update takes cannot be changed in place: that,
the SDK's documentation and the table say what a change replaces.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import jmespath

from scripts.local.cloud import answers, changes, sdk, shapes, tagging
from scripts.local.cloud.backend import (
    UNKNOWN,
    Change,
    Checked,
    Created,
    Difference,
    Found,
    NotFound,
    PartiallyCreated,
    Properties,
    Refused,
    Resource,
)
from scripts.local.cloud.invokes import invoke
from scripts.local.cloud.naming import named
from scripts.local.cloud.plan import covered, creation, identity, replaces, request, uses_store, with_told
from scripts.local.cloud.services import find
from scripts.local.cloud.session import CloudError, Session
from scripts.local.cloud.table import Call, Row, Scope


class _Exists(Exception):
    """What is to be made has the id of something that is kept already."""


@dataclass(frozen=True)
class AwsBackend:
    """Resources of the ``aws`` package in one region; instances differ in region and default tags."""

    session: Session
    region: str
    default_tags: Mapping[str, str] = field(default_factory=dict)
    version: str = "7.51.1"

    def configured(self, config: Properties) -> AwsBackend:
        """Take region and default tags; other settings of the real provider have no meaning here."""
        tags = _structured(config.get("defaultTags")).get("tags") or {}
        return replace(self, region=config.get("region") or self.region, default_tags=dict(tags))

    def check(self, resource: Resource, inputs: Properties, old: Properties, seed: bytes) -> Checked:
        """The SDK's types, then botocore's model of the calls, then AWS's rules that moto does not have."""
        row = find(resource.type)
        model = sdk.model(resource.type)
        filled = named(row, model, resource.name, inputs, old, seed)
        refusals = sdk.check(model.inputs, filled)
        if not refusals:
            refusals = self._against_aws(row, filled, resource)
        told = [Refused(each.property, f"{resource.type} {resource.name!r}: {each}") for each in refusals]
        return Checked(filled, told)

    def _against_aws(self, row: Row, inputs: Properties, resource: Resource) -> list[Refused]:
        scope = self._scope(row, inputs, preview=True)
        refusals = []
        creating = creation(row, scope)
        for call in (creating, *row.after):
            if call is not creating and not any(inputs.get(name) is not None for name in call.when):
                continue
            if not (call.auto or call.params):
                continue  # kept in the store as the SDK's types have it, without a call
            service = call.service or row.service
            try:
                sent = request(row, call, scope, tags=self._tags(inputs))
            except Refused as refusal:
                refusals.append(refusal)
                continue
            refusals += shapes.check(shapes.operation(service, call.method).input_shape, sent)
        for rule in row.checks:
            try:
                rule(scope)
            except Refused as refusal:
                refusals.append(refusal)
        return refusals

    def diff(
        self, resource: Resource, id: str, state: Properties, old: Properties, new: Properties, ignore: Sequence[str]
    ) -> Difference:
        """Compare what the program says now with what it said last."""
        row = find(resource.type)
        model = sdk.model(resource.type)
        found = changes.differences(old, new, imported=state.get("__imported", ()), ignore=ignore)
        tags = self._tags(new)
        if "tagsAll" in model.outputs and "tags" not in ignore and not answers.same(state.get("tagsAll") or {}, tags):
            if not any(path.startswith("tags") for path in found):
                found["tagsAll"] = Change.UPDATE
        elif "tagsAll" in model.outputs and len(state.get("tagsAll") or {}) != len(tags) and "tags" not in ignore:
            found.setdefault("tagsAll", Change.UPDATE)
        fixed = replaces(row)
        found = {
            path: Change.REPLACE if changes.top(path) in fixed or changes.bare(path) in fixed else change
            for path, change in found.items()
        }
        # Two of the same name cannot be there at once: a name of the program's own choice is freed first.
        chosen = row.name is not None and row.name in new and row.name not in new.get("__defaults", ())
        return Difference(found, delete_before_replace=chosen or row.name is None)

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Created:
        """Make it, complete it, read it back."""
        row = find(resource.type)
        scope = self._scope(row, inputs, preview=preview)
        if preview:
            return Created("", self._expected(row, inputs))
        faults = self.session.faults
        faults.slow(resource.type, resource.name)
        if fault := faults.failure(resource.type, resource.name, half_way=False):
            raise CloudError(fault.code, fault.message, row.create.method)
        _ask(row, scope, f"creating {resource.type} {resource.name!r}")
        answer = self._make(row, scope, resource)
        scope.id = identity(row, scope, answer)
        try:
            if fault := faults.failure(resource.type, resource.name, half_way=True):
                raise CloudError(fault.code, fault.message, row.create.method)
            self._complete(row, scope, answer)
        except _Exists as error:
            raise RuntimeError(f"creating {resource.type} {resource.name!r}: {error}") from error
        except Exception as error:
            state = {**_public(inputs), **scope.state, "__partial": True}
            raise PartiallyCreated(scope.id, state, f"{resource.type} {resource.name!r}: {error}", inputs) from error
        return Created(scope.id, scope.state)

    def id_ahead(self, resource: Resource, inputs: Properties) -> str:
        """AWS gives ids."""
        return ""

    def _make(self, row: Row, scope: Scope, resource: Resource) -> dict[str, Any]:
        call = creation(row, scope)
        sent = request(row, call, scope, tags=self._tags(scope.inputs))
        if uses_store(row):
            return sent
        try:
            return self.session.call(call.service or row.service, call.method, sent, scope.region)
        except CloudError as error:
            raise RuntimeError(f"creating {resource.type} {resource.name!r}: {error}") from error

    def _complete(self, row: Row, scope: Scope, answer: dict[str, Any]) -> None:
        scope.state = {**_public(scope.inputs)}
        if uses_store(row):
            if not row.upsert and self.session.kept(scope.region, row.token, scope.id) is not None:
                raise _Exists(
                    f"AlreadyExists: {scope.id} is there already, made by another resource ({row.create.method})"
                )
            self._state(row, scope, answer, answer)
            self.session.keep(scope.region, row.token, scope.id, scope.state)
        else:
            found = self._look(row, scope) if row.read else answer
            self._state(row, scope, found, answer)
            for call in row.after:
                if any(scope.inputs.get(name) is not None for name in call.when) or not call.when:
                    self._run(row, call, scope)
            tagging.write_after_create(row, scope, self._tags(scope.inputs))
        if row.made:
            row.made(scope)
        if not uses_store(row) and row.read:
            found = self._look(row, scope)
            self._state(row, scope, found, answer)
            self._calibrate(row, scope, found)

    def read(self, resource: Resource, id: str, state: Properties, inputs: Properties) -> Found:
        """As AWS reports it; what AWS does not report stays as recorded."""
        row = find(resource.type)
        scope = self._scope(row, inputs, state=copy.deepcopy(state), id=id)
        scope.region = state.get("region") or scope.region
        if uses_store(row):
            kept = self.session.kept(scope.region, row.token, id)
            if kept is None:
                raise NotFound(f"{resource.type} {id} does not exist")
            return Found(id, kept, inputs or {k: v for k, v in kept.items() if k in sdk.model(row.token).inputs})
        if row.read is None:
            return Found(id, state, inputs)
        found = self._look(row, scope)
        if not state:
            return self._imported(row, scope, found)
        blind = self.session.blind.get((row.token, id), frozenset())
        drifted = self._drift(row, scope, found, blind)
        self._state(row, scope, found, {}, keep=blind)
        scope.state.update(drifted)
        if "tagsAll" in sdk.model(row.token).outputs:
            tags = tagging.read(row, scope, found)
            if tags is not None:
                scope.state["tagsAll"] = tags
                own = {key: value for key, value in tags.items() if self.default_tags.get(key) != value}
                if not answers.same(self._tags(inputs), tags) or len(tags) != len(self._tags(inputs)):
                    drifted["tags"] = own
                    scope.state["tags"] = own
        scope.state.pop("__partial", None)
        return Found(id, scope.state, {**inputs, **drifted} if inputs else inputs)

    def _imported(self, row: Row, scope: Scope, found: dict[str, Any]) -> Found:
        model = sdk.model(row.token)
        for name, property in model.inputs.items():
            value = self._reported(row, scope, found, name, property.annotation)
            if value not in (None, "", [], {}, False, 0):
                scope.inputs[name] = value
        if row.name in model.inputs and row.name not in scope.inputs:
            # Where AWS does not report the name on its own, it ends the ARN or URL that is the id.
            scope.inputs[str(row.name)] = scope.id.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
        if "tags" in model.inputs and (tags := tagging.read(row, scope, found)):
            scope.inputs["tags"] = {key: value for key, value in tags.items() if self.default_tags.get(key) != value}
        scope.inputs.pop("region", None)
        scope.inputs.pop("tagsAll", None)
        scope.state = copy.deepcopy(scope.inputs)
        self._state(row, scope, found, {})
        scope.state["__imported"] = sorted(scope.inputs)
        return Found(scope.id, scope.state, scope.inputs)

    def update(
        self,
        resource: Resource,
        id: str,
        state: Properties,
        old: Properties,
        new: Properties,
        *,
        preview: bool,
        timeout: float,
        ignore: Sequence[str],
    ) -> Properties:
        """Make the calls that the changed properties need."""
        row = find(resource.type)
        scope = self._scope(row, new, state=copy.deepcopy(state), id=id, old=old, preview=preview)
        merged = {name: value for name, value in state.items() if name in new or name not in old}
        scope.state = {**merged, **_public(new), "tagsAll": self._tags(new)}
        scope.state.pop("__imported", None)
        if "tagsAll" not in sdk.model(row.token).outputs:
            scope.state.pop("tagsAll")
        if preview:
            return {**scope.state, **with_told(row, scope.state, state)}
        _ask(row, scope, f"updating {resource.type} {resource.name!r}")
        changed = {changes.top(path) for path in changes.differences(old, new, ignore=ignore)}
        mending = bool(scope.state.pop("__partial", False))
        if uses_store(row):
            self.session.keep(scope.region, row.token, id, scope.state)
        else:
            self._apply(row, scope, changed, resource, everything=mending)
            tagging.update(row, scope, state.get("tagsAll") or {}, self._tags(new))
        if row.made:
            row.made(scope)
        if row.read and not uses_store(row):
            found = self._look(row, scope)
            self._state(row, scope, found, {})
            self._calibrate(row, scope, found)
        return scope.state

    def _apply(self, row: Row, scope: Scope, changed: set[str], resource: Resource, *, everything: bool) -> None:
        calls = [*row.update, *([row.create] if row.upsert else []), *row.after]
        for call in calls:
            names = set(call.when) or covered(row, call)
            touched = names & changed
            set_now = any(scope.inputs.get(name) is not None for name in names)
            if (touched and (set_now or call.unset or not call.when)) or (everything and set_now):
                try:
                    self._run(row, call, scope)
                except CloudError as error:
                    raise RuntimeError(f"updating {resource.type} {resource.name!r}: {error}") from error

    def delete(self, resource: Resource, id: str, state: Properties, *, timeout: float) -> None:
        """Refuse while others need it, as AWS does; then delete."""
        row = find(resource.type)
        scope = self._scope(row, dict(state), state=dict(state), id=id)
        scope.region = state.get("region") or scope.region
        try:
            for guard in row.guards:
                guard(scope)
            for call in (*row.before_delete, *([row.delete] if row.delete and not uses_store(row) else [])):
                if not call.when or any(scope[name] for name in call.when):
                    self._run(row, call, scope)
        except CloudError as error:
            if not (error.missing or error.code in row.ignore_missing):
                raise RuntimeError(f"deleting {resource.type} {resource.name!r}: {error}") from error
        # Some of moto's resources are gone only once somebody has looked, after their deletion.
        with suppress(NotFound, CloudError):
            if row.delete and not uses_store(row):
                self._look(row, scope)
        if row.gone:
            try:
                row.gone(scope)
            except CloudError as error:
                if not error.missing:
                    raise
        self.session.forget(scope.region, row.token, id)

    def invoke(self, token: str, arguments: Properties, *, preview: bool) -> Properties:
        """The provider's functions."""
        return invoke(token, arguments, self.session, arguments.get("region") or self.region, self.default_tags)

    def _scope(self, row: Row, inputs: Properties, **more: Any) -> Scope:
        region = inputs.get("region") if isinstance(inputs.get("region"), str) else None
        return Scope(self.session, region or self.region, dict(inputs), **more)

    def _tags(self, inputs: Properties) -> dict[str, Any]:
        own = inputs.get("tags")
        return {**self.default_tags, **(own if isinstance(own, dict) else {})}

    def _run(self, row: Row, call: Call, scope: Scope) -> dict[str, Any]:
        sent = request(row, call, scope, tags=None)
        return self.session.call(call.service or row.service, call.method, sent, scope.region)

    def _look(self, row: Row, scope: Scope) -> dict[str, Any]:
        """The resource in read's answer; raises NotFound."""
        call = row.read
        if call is None:
            return {}
        try:
            answer = self.session.call(
                call.service or row.service, call.method, request(row, call, scope, tags=None), scope.region
            )
        except CloudError as error:
            if error.missing or error.code in row.ignore_missing:
                raise NotFound(f"{row.token} {scope.id} does not exist") from error
            raise
        found = row.at(scope, answer) if callable(row.at) else jmespath.search(row.at.replace("{id}", scope.id), answer)
        if found in (None, [], {}):
            raise NotFound(f"{row.token} {scope.id} does not exist")
        return found if isinstance(found, dict) else {"value": found}

    def _reported(self, row: Row, scope: Scope, found: dict[str, Any], name: str, annotation: Any) -> Any:
        if name in row.outputs:
            output = row.outputs[name]
            return output(scope, found) if callable(output) else jmespath.search(output, found)
        value = found.get(row.names[name]) if row.names.get(name) in found else answers.find(found, name)
        return answers.typed(annotation, value)

    def _state(
        self, row: Row, scope: Scope, found: dict[str, Any], answer: dict[str, Any], keep: frozenset[str] = frozenset()
    ) -> None:
        """Fill in what AWS reports; inputs that the program gave stay as it wrote them."""
        model = sdk.model(row.token)
        scope.state["region"] = scope.region
        for name, value in row.defaults.items():
            scope.state.setdefault(name, value)
        for name in model.outputs - {"tags", "tagsAll", "region"}:
            if scope.inputs.get(name) is not None or name in keep:
                continue
            if name in model.inputs:
                value = self._reported(row, scope, found, name, model.inputs[name].annotation)
            elif name in row.outputs:
                value = self._reported(row, scope, found, name, None)
            else:
                value = found.get(row.names.get(name, "")) or answers.find(found, name) or answers.find(answer, name)
                value = answers.camel(value)
            if value is not None and value is not UNKNOWN:
                scope.state[name] = value
        if "tagsAll" in model.outputs:
            scope.state["tagsAll"] = self._tags(scope.inputs)
        if "accountId" in model.outputs:
            scope.state.setdefault("accountId", self.session.account)
        if "ownerId" in model.outputs:
            scope.state.setdefault("ownerId", self.session.account)

    def _drift(self, row: Row, scope: Scope, found: dict[str, Any], blind: frozenset[str]) -> Properties:
        model = sdk.model(row.token)
        drifted: Properties = {}
        for name, asked in scope.inputs.items():
            if name in ("tags", "tagsAll", "region") or name.startswith("__") or name in blind:
                continue
            there = self._reported(row, scope, found, name, model.inputs[name].annotation)
            if there is not None and not answers.same(asked, there):
                drifted[name] = there
        return drifted

    def _calibrate(self, row: Row, scope: Scope, found: dict[str, Any]) -> None:
        """Right after a change there is no drift: what AWS reports otherwise, it does not keep."""
        self.session.blind[row.token, scope.id] = frozenset(self._drift(row, scope, found, frozenset()))

    def _expected(self, row: Row, inputs: Properties) -> Properties:
        """Outputs in a preview: inputs as given, defaults as known, the rest unknown."""
        model = sdk.model(row.token)
        state: Properties = dict.fromkeys(model.outputs, UNKNOWN)
        region = inputs.get("region") or self.region
        tags = {"tagsAll": self._tags(inputs)} if "tagsAll" in model.outputs else {}
        state |= {"region": region, **row.defaults, **tags, **_public(inputs)}
        return {**state, **with_told(row, state, {})}


def _ask(row: Row, scope: Scope, doing: str) -> None:
    try:
        for need in row.needs:
            need(scope)
    except Refused as refusal:
        raise RuntimeError(f"{doing}: {refusal}") from refusal


def _public(inputs: Properties) -> Properties:
    return {name: value for name, value in inputs.items() if not name.startswith("__")}


def _structured(value: Any) -> dict[str, Any]:
    """Provider settings may arrive as JSON text."""
    import json

    parsed = json.loads(value) if isinstance(value, str) else value
    return parsed if isinstance(parsed, dict) else {}
