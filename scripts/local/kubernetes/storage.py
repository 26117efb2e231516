"""``python -m scripts.local.kubernetes.storage``: makes a volume for each claim, as a storage driver does on EKS.

A volume is a folder of this machine. Claims become bound and their pods can be scheduled, so that the rules of
StatefulSets are seen at work; whether a disk is fast, encrypted or in the right zone is not. The node mounts none of
them: pods with claims are other people's, which do not run here.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx

from scripts.local.kubernetes.api import Api, ApiError, Informer, Object
from scripts.local.kubernetes.loops import until_stopped

log = logging.getLogger(__name__)
_VOLUMES = "/api/v1/persistentvolumes"
_DRIVER = "local-platform"
# Set by the scheduler when a class waits for its pod: https://kubernetes.io/docs/concepts/storage/storage-classes/
_CHOSEN = "volume.kubernetes.io/selected-node"
_MADE_BY = "pv.kubernetes.io/provisioned-by"


def volume(claim: Object, storage_class: Object, folder: Path) -> Object:
    """The volume that fits ``claim``, already meant for it."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    reference = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_MADE_BY: _DRIVER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "hostPath": {"path": str(folder / name), "type": "DirectoryOrCreate"},
        },
    }


class Storage:
    """The loop: claims that wait get a volume, volumes whose claim is gone are removed if their class says so."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._api, self._folder = Api(kubeconfig), folder
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with self._api:
            await asyncio.gather(
                Informer(self._api, "/api/v1/persistentvolumeclaims", self._claimed).run(),
                Informer(self._api, _VOLUMES, self._changed).run(),
            )

    def _claimed(self, event: str, claim: Object) -> None:
        waiting = (claim.get("status") or {}).get("phase") == "Pending" and not claim["spec"].get("volumeName")
        if event != "DELETED" and waiting and claim["spec"].get("storageClassName"):
            self._start(self._make(claim))

    def _changed(self, event: str, found: Object) -> None:
        ours = (found["metadata"].get("annotations") or {}).get(_MADE_BY) == _DRIVER
        released = (found.get("status") or {}).get("phase") == "Released"
        if event != "DELETED" and ours and released and found["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            self._start(self._remove(found))

    async def _make(self, claim: Object) -> None:
        name = claim["spec"]["storageClassName"]
        storage_class = await self._api.find(f"/apis/storage.k8s.io/v1/storageclasses/{name}")
        if storage_class is None:
            return
        chosen = _CHOSEN in (claim["metadata"].get("annotations") or {})
        if chosen or storage_class.get("volumeBindingMode") != "WaitForFirstConsumer":
            await self._api.create(_VOLUMES, volume(claim, storage_class, self._folder))

    async def _remove(self, found: Object) -> None:
        await self._api.delete(f"{_VOLUMES}/{found['metadata']['name']}")
        await asyncio.to_thread(shutil.rmtree, found["spec"]["hostPath"]["path"], ignore_errors=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(self._safely(work))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _safely(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ApiError as error:
            # Made already, or gone already.
            if error.status not in (404, 409):
                log.error("%s", error)
        except httpx.HTTPError as error:
            log.error("%s", error or type(error).__name__)


def main() -> None:
    """Parse the command line and run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m scripts.local.kubernetes.storage", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="the kubeconfig of the user `storage`")
    parser.add_argument("--folder", type=Path, required=True, help="where volumes are made")
    arguments = parser.parse_args()
    until_stopped(lambda: Storage(**vars(arguments)).run())


if __name__ == "__main__":
    main()
