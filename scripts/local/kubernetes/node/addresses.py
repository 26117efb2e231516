"""Loopback addresses for pods: 127.A.1.1 to 127.A.95.254 of the platform's block."""

from __future__ import annotations

THIRD, FOURTH = range(1, 96), range(1, 255)


class Addresses:
    """Hands out each address once; a freed one comes back last, so that a late packet does not meet another pod."""

    def __init__(self, block: str) -> None:
        self._free = {f"{block}.{third}.{fourth}": None for third in THIRD for fourth in FOURTH}

    def take(self, wanted: str | None = None) -> str:
        """``wanted`` when it is free, else the one that was free for longest. Raises RuntimeError when none is."""
        if not self._free:
            raise RuntimeError(f"all {len(THIRD) * len(FOURTH)} pod addresses are in use")
        address = wanted if wanted in self._free else next(iter(self._free))
        del self._free[address]
        return address

    def release(self, address: str) -> None:
        """Give one back."""
        self._free[address] = None
