"""The provider: checks, applies, waits, reads, removes."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pulumi_kubernetes

from scripts.local.cloud import sdk
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
from scripts.local.kubernetes.api import Api, ApiError
from scripts.local.kubernetes.provider import awaits, changes, objects, releases
from scripts.local.kubernetes.provider.session import NoSuchKind, Session

log = logging.getLogger(__name__)
T = TypeVar("T")
MANAGER = "pulumi-kubernetes"
RELEASE = "kubernetes:helm.sh/v3:Release"
_IMMUTABLE = ("field is immutable", "are forbidden", "may not change", "may not be changed", "is immutable")

_sessions: dict[str, Session] = {}
_lock = threading.Lock()


def _session(kubeconfig: str) -> Session:
    """The session of a kubeconfig, shared by every provider instance that is given the same one."""
    key = hashlib.sha256(kubeconfig.encode()).hexdigest()
    with _lock:
        if key not in _sessions:
            _sessions[key] = Session(kubeconfig)
        return _sessions[key]


@dataclass(slots=True)
class KubernetesBackend:
    """One configured provider. Without a kubeconfig, or while it is unknown, the SDK's types alone are checked.

    The ambient kubeconfig of whoever runs this is never read: it may lead to a real cluster.
    """

    kubeconfig: str | None = None
    namespace: str = "default"
    mutable: frozenset[str] = field(default_factory=frozenset)
    upsert: bool = False
    version: str = version("pulumi-kubernetes")

    @classmethod
    def of(cls, kubeconfig: Path | None) -> KubernetesBackend:
        """The provider of programs that configure no kubeconfig of their own."""
        return cls(kubeconfig=kubeconfig.read_text() if kubeconfig else None)

    def configured(self, config: Properties) -> KubernetesBackend:
        """The provider with a program's settings. Raises Refused."""
        refusals = sdk.check(sdk.properties(pulumi_kubernetes.ProviderArgs), _plain(config))
        refusals = [each for each in refusals if each.property not in ("version", "pluginDownloadURL")]
        if refusals:
            raise refusals[0]
        kubeconfig = config.get("kubeconfig")
        if isinstance(kubeconfig, str) and "\n" not in kubeconfig and Path(kubeconfig).is_file():
            kubeconfig = Path(kubeconfig).read_text()
        flags = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}
        return replace(
            self,
            kubeconfig=None if kubeconfig is UNKNOWN else kubeconfig or self.kubeconfig,
            namespace=config.get("namespace") or self.namespace,
            mutable=frozenset(kind for kind, flag in flags.items() if config.get(flag) in (True, "true")),
            upsert=config.get("upsertExistingObjects") in (True, "true"),
        )

    def check(self, resource: Resource, inputs: Properties, old: Properties, seed: bytes) -> Checked:
        """SDK types first; then, where the API server can be asked, a dry run with strict field validation."""
        api_version, kind = objects.identify(resource, inputs)
        refusals = self._mistyped(resource, inputs)
        if resource.type == RELEASE:
            named = objects.named(resource, {"name": inputs.get("name")}, {"metadata": old}, seed)
            filled = {**inputs, "name": named["name"], "namespace": inputs.get("namespace") or self.namespace}
            return Checked(filled, [*refusals, *releases.check(inputs)])
        filled = objects.without_none({**inputs, "apiVersion": api_version, "kind": kind})
        metadata = filled.get("metadata") or {}
        if metadata is not UNKNOWN and metadata.get("generateName"):
            how = "leave metadata.name out, and the object gets a unique name that the stack remembers"
            refusals.append(Refused("metadata.generateName", f"cannot be applied, as it names no object; {how}"))
        if metadata is not UNKNOWN:
            filled["metadata"] = objects.named(resource, metadata, old, seed)
        # What is as it was has been through it already.
        if refusals or filled == old or not (session := self._reachable()):
            return Checked(filled, refusals)
        return session.run(lambda api: self._dry_run(api, session, filled, bool(old)))

    def diff(
        self, resource: Resource, id: str, state: Properties, old: Properties, new: Properties, ignore: Sequence[str]
    ) -> Difference:
        """Compare the inputs; an object with a name of its own goes before its successor comes."""
        kind = objects.identify(resource, new)[1]
        before = objects.without_none(old or objects.given(state, new))
        found = changes.compare(before, objects.without_none(new), kind, mutable=self.mutable)
        found = {path: change for path, change in found.items() if not any(path.startswith(each) for each in ignore)}
        metadata = new.get("metadata") or {}
        same = all((before.get("metadata") or {}).get(each) == metadata.get(each) for each in ("name", "namespace"))
        return Difference(found, delete_before_replace=same and Change.REPLACE in found.values())

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Created:
        """Apply and wait. Refuses to take over an object that exists, unless upsertExistingObjects is set."""
        if preview:
            return Created("", self._preview(resource, inputs))
        session = self._required()
        if resource.type == RELEASE:
            recorded = session.run(lambda api: releases.record(api, inputs, 1))
            return Created(self.id_ahead(resource, inputs), recorded)

        async def work(api: Api) -> Created:
            path = await session.path(inputs)
            if not self.upsert and await api.find(path):
                id = objects.id_of(inputs)
                how = f"import it (`pulumi import {resource.type} {resource.name} {id}`), rename this one, or remove it"
                raise Refused("metadata.name", f"{inputs['kind']} {id} exists already; {how}")
            return Created(self.id_ahead(resource, inputs), await self._apply(api, path, inputs, timeout, new=True))

        return self._tell(session, work)

    def id_ahead(self, resource: Resource, inputs: Properties) -> str:
        """Objects are named by whoever makes them."""
        return f"{inputs['namespace']}/{inputs['name']}" if resource.type == RELEASE else objects.id_of(inputs)

    def read(self, resource: Resource, id: str, state: Properties, inputs: Properties) -> Found:
        """The object as it is; what the program gave, with today's values."""
        session = self._required()
        if resource.type == RELEASE:
            if not state:
                raise Refused("", f"a release that nobody recorded cannot be imported: {id}")
            if session.run(lambda api: api.find(releases.path(state))) is None:
                raise NotFound(f"release {id} is gone")
            return Found(id, state, inputs)

        async def work(api: Api) -> Found:
            path = await session.path(objects.at(resource, id, state or inputs))
            if (live := await api.find(path)) is None:
                raise NotFound(f"{resource.type} {id} is gone")
            return Found(id, objects.state(live), objects.given(live, inputs))

        return self._tell(session, work)

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
        """Apply and wait; fields that the program no longer gives go back to the server's default."""
        if preview:
            return {**state, **self._preview(resource, new)}
        session = self._required()
        if resource.type == RELEASE:
            revision = int((state.get("status") or {}).get("revision", 0)) + 1
            return session.run(lambda api: releases.record(api, new, revision))

        async def work(api: Api) -> Properties:
            return await self._apply(api, await session.path(new), new, timeout, new=False)

        return self._tell(session, work)

    def delete(self, resource: Resource, id: str, state: Properties, *, timeout: float) -> None:
        """Remove it with everything that it owns, and wait until it is gone."""
        session = self._required()

        async def work(api: Api) -> None:
            try:
                release = resource.type == RELEASE
                path = releases.path(state) if release else await session.path(objects.at(resource, id, state))
            except NoSuchKind:
                return  # its definition is gone, and every object with it
            try:
                await api.delete(path, {"propagationPolicy": "Foreground"})
            except ApiError as error:
                if error.status != 404:
                    raise
                return
            await awaits.until_gone(api, path, timeout)

        self._tell(session, work)

    def invoke(self, token: str, arguments: Properties, *, preview: bool) -> Properties:
        """The provider's functions read charts and manifests, which a program of ours does not use."""
        raise Refused("", f"{token} is not supported by the local kubernetes provider")

    async def _apply(self, api: Api, path: str, inputs: Properties, timeout: float, *, new: bool) -> Properties:
        live = await api.apply(path, objects.without_none(inputs), manager=MANAGER)
        try:
            live = await awaits.until_ready(api, path, live, timeout)
        except awaits.NotAsAsked as error:
            live = await api.find(path) or live
            raise PartiallyCreated(objects.id_of(inputs), objects.state(live), str(error), inputs) from error
        return objects.state(live)

    async def _dry_run(self, api: Api, session: Session, filled: Properties, exists: bool) -> Checked:
        metadata = filled.get("metadata")
        if metadata is UNKNOWN or not isinstance(metadata, dict):
            return Checked(filled)
        try:
            _, namespaced = await session.kind(filled["apiVersion"], filled["kind"])
        except NoSuchKind:
            return Checked(filled)  # its definition may come with another resource of the same update
        if namespaced and not metadata.get("namespace"):
            filled = {**filled, "metadata": {**metadata, "namespace": self.namespace}}
        if not objects.known(filled):
            return Checked(filled)
        try:
            await api.apply(await session.path(filled), filled, manager=MANAGER, dryRun="All")
        except ApiError as error:
            if exists and error.status == 422 and any(word in str(error) for word in _IMMUTABLE):
                return Checked(filled)  # the difference is a replacement
            if error.status == 404 and "namespaces " in str(error):
                return Checked(filled)  # its namespace comes with another resource of the same update
            return Checked(filled, _refusals(error))
        return Checked(filled)

    def _preview(self, resource: Resource, inputs: Properties) -> Properties:
        """What is known of the outputs before anything happened."""
        outputs = {**inputs, "status": UNKNOWN}
        if inputs.get("kind") == "Service" and isinstance(inputs.get("spec"), dict):
            outputs["spec"] = {"clusterIP": UNKNOWN, **inputs["spec"]}
        return outputs

    def _mistyped(self, resource: Resource, inputs: Properties) -> list[Refused]:
        try:
            known = sdk.model(objects.sdk_token(resource.type)).inputs
        except sdk.NoSuchType:
            # A custom resource: the SDK knows no more than that it has these.
            missing = [name for name in ("apiVersion", "kind") if not inputs.get(name)]
            return [Refused(name, "is required, but missing") for name in missing]
        return list(sdk.check(known, inputs))

    def _reachable(self) -> Session | None:
        try:
            session = _session(self.kubeconfig) if self.kubeconfig else None
        except ValueError:
            return None  # a preview of an environment elsewhere: whatever would change it is refused
        return session if session and session.reachable() else None

    def _required(self) -> Session:
        if self.kubeconfig is None:
            raise Refused(
                "",
                "this kubernetes provider has no kubeconfig; give it one (`pulumi_kubernetes.Provider(kubeconfig=…)`)",
            )
        try:
            return _session(self.kubeconfig)
        except ValueError as error:
            raise Refused("kubeconfig", str(error)) from error

    def _tell(self, session: Session, work: Callable[[Api], Coroutine[Any, Any, T]]) -> T:
        """Do ``work``; what the API server says against it becomes the provider's refusal."""
        try:
            return session.run(work)
        except httpx.TransportError as error:
            raise Refused(
                "", f"the Kubernetes API server does not answer ({error}); is the local platform up?"
            ) from error
        except ApiError as error:
            refusals = _refusals(error)
            raise Refused(refusals[0].property, "; ".join(each.reason for each in refusals)) from error
        except NoSuchKind as error:
            raise Refused("kind", str(error)) from error


def _refusals(error: ApiError) -> list[Refused]:
    """One for each cause that the API server names."""
    causes = (error.body.get("details") or {}).get("causes") or []
    found = [Refused(each.get("field", ""), each.get("message", "")) for each in causes if each.get("message")]
    return found or [Refused("", str(error))]


def _plain(config: Properties) -> Properties:
    """Settings as values: the engine sends what is not a string as JSON."""
    plain: Properties = {}
    for key, value in config.items():
        plain[key] = value
        if key != "kubeconfig" and isinstance(value, str) and value[:1] in "{[tf":
            try:
                plain[key] = json.loads(value)
            except ValueError:
                continue
    return plain
