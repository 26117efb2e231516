"""One ExternalSecret to one Secret, again every ``refreshInterval``, with the conditions that the operator sets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
from typing import Any

import httpx

from scripts.local.kubernetes.api import Api, ApiError, Informer, Key, Object
from scripts.local.kubernetes.external_secrets import reloader
from scripts.local.kubernetes.external_secrets.store import CannotRead, Reader, Store, check
from scripts.local.kubernetes.external_secrets.templates import BadTemplate, render
from scripts.local.kubernetes.node.events import Recorder, now

log = logging.getLogger(__name__)
GROUP = "/apis/external-secrets.io/v1"
MANAGER = "external-secrets"
INTERVAL = 3600.0  # seconds; the operator's default
# A developer who rotates a secret does not wait for an hour: locally the loop looks at least this often.
AT_MOST = 15.0
AFTER_FAILURE = 2.0
_UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}


class Unsupported(Exception):
    """A field that the operator knows and this loop does not."""


def seconds(duration: str) -> float:
    """A Go duration ("1h30m") in seconds."""
    return sum(float(count) * _UNITS[unit] for count, unit in re.findall(r"([\d.]+)(ms|h|m|s)", duration))


class Controller:
    """Reconciles every ExternalSecret."""

    def __init__(self, api: Api, *, endpoint: str, region: str) -> None:
        self._api, self._region = api, region
        self._reader = Reader(endpoint)
        self._recorder = Recorder(api, "external-secrets")
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._wake: dict[Key, asyncio.Event] = {}
        self._informer = Informer(api, f"{GROUP}/externalsecrets", self._changed)

    async def run(self) -> None:
        """Work for ever; until the CustomResourceDefinition is there, look for it every few seconds."""
        while not await self._served():
            await asyncio.sleep(3)
        await self._informer.run()

    async def _served(self) -> bool:
        try:
            return await self._api.find(GROUP) is not None
        except (ApiError, httpx.HTTPError) as error:
            log.warning("the API server: %s; trying again", error or type(error).__name__)
            return False

    def _changed(self, event: str, found: Object) -> None:
        key = found["metadata"]["namespace"], found["metadata"]["name"]
        if event == "DELETED":
            if task := self._tasks.pop(key, None):
                task.cancel()
            self._wake.pop(key, None)
        elif key not in self._tasks:
            self._wake[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(self._reconcile_for_ever(key))
        elif (found.get("status") or {}).get("syncedResourceVersion") != _version(found):
            self._wake[key].set()

    async def _reconcile_for_ever(self, key: Key) -> None:
        while True:
            wake = self._wake[key]
            wake.clear()
            pause = AFTER_FAILURE
            try:
                pause = await self._reconcile(self._informer.items[key])
            except (ApiError, httpx.HTTPError) as error:
                log.warning("%s/%s: %s; trying again", *key, error or type(error).__name__)
            try:
                async with asyncio.timeout(pause):
                    await wake.wait()
            except TimeoutError:
                continue

    async def _reconcile(self, found: Object) -> float:
        """Sync once; returns the seconds until the next time."""
        spec, generation = found["spec"], _version(found)
        interval = seconds(spec.get("refreshInterval") or "1h")
        if spec.get("refreshPolicy") == "CreatedOnce" and (found.get("status") or {}).get("refreshTime"):
            return INTERVAL
        try:
            data = await self._data(found)
        except (CannotRead, BadTemplate, Unsupported) as error:
            await self._report(found, generation, "False", "SecretSyncedError", str(error))
            return AFTER_FAILURE
        await self._write(found, data)
        await self._report(found, generation, "True", "SecretSynced", "secret synced")
        return min(interval or INTERVAL, AT_MOST) if interval else INTERVAL

    async def _data(self, found: Object) -> dict[str, bytes]:
        spec = found["spec"]
        values: dict[str, str] = {}
        for entry in spec.get("dataFrom") or []:
            if set(entry) - {"sourceRef"} != {"extract"}:
                raise Unsupported(f"dataFrom: only extract is supported locally, not {', '.join(sorted(entry))}")
            store = await self._store(found, {})
            values |= await asyncio.to_thread(self._reader.values, store, entry["extract"])
        for entry in spec.get("data") or []:
            store = await self._store(found, entry.get("sourceRef") or {})
            values[entry["secretKey"]] = await asyncio.to_thread(self._reader.value, store, entry["remoteRef"])
        template = (spec.get("target") or {}).get("template")
        if template is None:
            return {key: value.encode() for key, value in values.items()}
        if unknown := set(template) - {"data", "type", "metadata", "engineVersion", "mergePolicy"}:
            raise Unsupported(f"target.template.{min(unknown)} is not supported locally")
        rendered = {key: render(text, values).encode() for key, text in (template.get("data") or {}).items()}
        kept = values if template.get("mergePolicy") == "Merge" or not rendered else {}
        return {key: value.encode() for key, value in kept.items()} | rendered

    async def _store(self, found: Object, source: Object) -> Store:
        reference = source.get("storeRef") or found["spec"].get("secretStoreRef") or {}
        kind, name = reference.get("kind", "SecretStore"), reference.get("name", "")
        where = "clustersecretstores" if kind == "ClusterSecretStore" else ""
        path = f"{GROUP}/{where or 'namespaces/' + found['metadata']['namespace'] + '/secretstores'}/{name}"
        store = await self._api.find(path)
        checked = check(store, kind, name, self._region)
        if not ((store or {}).get("status") or {}).get("conditions"):
            ok = {"type": "Ready", "status": "True", "reason": "Valid", "message": "store validated"}
            status = {"capabilities": "ReadOnly", "conditions": [{**ok, "lastTransitionTime": now()}]}
            await self._api.patch(f"{path}/status", {"status": status})
        return checked

    async def _write(self, found: Object, data: dict[str, bytes]) -> None:
        metadata, target = found["metadata"], found["spec"].get("target") or {}
        namespace, name = metadata["namespace"], target.get("name") or metadata["name"]
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        template = target.get("template") or {}
        fingerprint = hashlib.sha256(json.dumps(sorted((k, v.hex()) for k, v in data.items())).encode()).hexdigest()[
            :16
        ]
        before = await self._api.find(path)
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        if before and (before.get("data") or {}) == encoded:
            return
        described = template.get("metadata") or {}
        labels = {**described.get("labels", {}), "reconcile.external-secrets.io/managed": "true"}
        secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": labels, "annotations": described.get("annotations") or {}},
            "type": template.get("type", "Opaque"),
            "immutable": target.get("immutable") or None,
            "data": encoded,
        }
        if target.get("creationPolicy", "Owner") == "Owner":
            owner = {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": metadata["name"]}
            owner |= {"uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}
            secret["metadata"]["ownerReferences"] = [owner]
        await self._api.apply(path, secret, manager=MANAGER)
        if before:
            self._recorder.record(found, "Updated", f"secret {name} was updated")
            for workload in await reloader.restart_readers(self._api, namespace, name, fingerprint):
                self._recorder.record(found, "Reloaded", f"{workload} restarts, as secret {name} changed")

    async def _report(self, found: Object, version: str, status: str, reason: str, message: str) -> None:
        before = (found.get("status") or {}).get("conditions") or [{}]
        same = before[0].get("status") == status
        condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
        condition["lastTransitionTime"] = before[0].get("lastTransitionTime") if same else now()
        if same and before[0].get("message") == message and (found["status"].get("syncedResourceVersion") == version):
            return
        report: Object = {"conditions": [condition]}
        if status == "True":
            report |= {"syncedResourceVersion": version, "refreshTime": now()}
            report["binding"] = {"name": (found["spec"].get("target") or {}).get("name") or found["metadata"]["name"]}
        else:
            self._recorder.record(found, "UpdateFailed", message, warning=True)
        metadata = found["metadata"]
        path = f"{GROUP}/namespaces/{metadata['namespace']}/externalsecrets/{metadata['name']}/status"
        await self._api.patch(path, {"status": report})


def _version(found: Object) -> str:
    """What the operator writes as the synced version: generation and a hash of labels and annotations."""
    metadata = found["metadata"]
    described = [metadata.get("labels"), metadata.get("annotations")]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return f"{metadata['generation']}-{digest[:56]}"
