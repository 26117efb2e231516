"""Where one local platform keeps its files, and which loopback addresses are its own.

Linux answers on all of 127.0.0.0/8 without any set-up, so each platform takes a block 127.A.0.0/16: two clones side by
side never meet, and their servers keep the ports that they are known by.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from scripts.deployment import ROOT
from scripts.local.certificates import Authority
from scripts.local.processes import Running
from scripts.toolchain import cache

# 127.0 is everybody's; tests take blocks of their own above these.
_BLOCKS = range(16, 128)


class Busy(RuntimeError):
    """Another command is changing this platform at the moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What `up` decided: paths of files, and the URL and kind of each part by its name.

    ``code`` is the digest of the local platform's own sources that the parts were started from.
    """

    code: str
    kubeconfig: str
    cloud: str
    webhook_secret: str
    urls: dict[str, str]
    kinds: dict[str, str]


@dataclass(frozen=True, slots=True)
class Layout:
    """A platform's folder. Everything that it makes is below it, so removing it removes the platform."""

    folder: Path

    @classmethod
    def default(cls) -> Layout:
        """The platform of this checkout, unless EVENT_PLATFORM_STATE names another one's folder."""
        return cls(Path(os.environ.get("EVENT_PLATFORM_STATE") or ROOT / ".local"))

    @property
    def parts(self) -> Path:
        """Records of the processes that were started."""
        return self.folder / "parts"

    @property
    def authority(self) -> Authority:
        """Who signs the certificates of the platform's servers."""
        return Authority(self.folder / "tls")

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def running(self) -> dict[str, Running]:
        """The parts that were started, by name, alive or not."""
        return Running.load(self.parts)

    def record(self) -> Record | None:
        """What `up` wrote down; None when there is no platform."""
        return Record(**json.loads(self._record.read_text())) if self._record.exists() else None

    def write(self, record: Record) -> None:
        """Write it down, readable by its owner alone, whole or not at all."""
        draft = self._record.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(record), indent=2))
        draft.rename(self._record)

    @property
    def _record(self) -> Path:
        return self.folder / "platform.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from changing the platform meanwhile. Raises Busy at once when one does."""
        cache.root().mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache.root() / f"platform-{self._fingerprint}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise Busy(
                f"another eventctl is changing the platform in {self.folder}; wait for it to end, or end it"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def claim_block(self) -> str:
        """The loopback block of this platform, like ``127.77``: the same as last time where nobody else took it."""
        cache.root().mkdir(parents=True, exist_ok=True)
        with FileLock(cache.root() / "blocks.lock"):
            registry = cache.root() / "blocks.json"
            claims: dict[str, str] = json.loads(registry.read_text()) if registry.exists() else {}
            claims = {block: owner for block, owner in claims.items() if Path(owner).exists()}
            start = int(self._fingerprint, 16) % len(_BLOCKS)
            for number in (*_BLOCKS[start:], *_BLOCKS[:start]):
                block = f"127.{number}"
                if claims.get(block, str(self.folder)) == str(self.folder) and not _listening_in(block):
                    claims[block] = str(self.folder)
                    self.folder.mkdir(parents=True, exist_ok=True)
                    registry.write_text(json.dumps(claims))
                    return block
        raise Busy("every loopback block from 127.16 to 127.127 is taken; run `eventctl local down` in other clones")

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]


def _listening_in(block: str) -> bool:
    connections = psutil.net_connections("tcp4")
    return any(
        found.laddr and found.laddr.ip.startswith(f"{block}.")
        for found in connections
        if found.status == psutil.CONN_LISTEN
    )
