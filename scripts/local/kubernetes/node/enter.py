"""Build a container's file system in the mount namespace that this process is in, then become the container's command.

Run by `sandbox` as ``python -S -E enter.py``, process 1 of fresh mount and pid namespaces; the plan is one JSON
document on standard input, so that secrets in it touch no disk. Little is imported (no pathlib): start-up is on the
path of every container start.

The machine's own files are the image's base, read-only. A mount point that the machine does not have is made in a
tmpfs that stands for its parent, whose other entries are bound one by one: nothing is ever created on the machine.
"""

# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH115, PTH120, PTH211

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

BIND, RECURSIVE, PRIVATE, NOSUID, NODEV = 4096, 16384, 1 << 18, 2, 4  # linux/mount.h
MOUNT_SETATTR, AT_RECURSIVE, READ_ONLY = 442, 0x8000, 1  # linux/mount.h; the call exists since Linux 5.12
AT_FDCWD = -100
AMBIENT, CLEAR_ALL, DROP_BOUNDING, NO_NEW_PRIVILEGES = 47, 4, 24, 38  # linux/prctl.h
CAPABILITIES = 64  # more than any kernel has; dropping one that does not exist is refused and harmless

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Read the plan, mount, and exec; a failure ends with status 128 and one line on standard error."""
    plan = json.load(sys.stdin)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    try:
        hostname = plan["hostname"].encode()
        _libc.sethostname(hostname, len(hostname))
        _file_system(plan)
        os.chdir(plan["directory"])
        _privileges(plan)
        os.execvpe(plan["command"][0], plan["command"], plan["env"])
    except OSError as error:
        print(f"cannot start {plan['command'][0]!r}: {error}", file=sys.stderr)
        sys.exit(128)


def _file_system(plan: dict[str, Any]) -> None:
    root = plan["root"]
    _mount("none", "/", None, PRIVATE | RECURSIVE)
    _mount("tmpfs", root, "tmpfs", NOSUID | NODEV, "mode=755,size=1m")
    mounts = [{**mount, "target": os.path.realpath(mount["target"])} for mount in plan["mounts"]]
    hidden = [os.path.realpath(path) for path in plan["hidden"]]
    _expose("/", root, [mount["target"] for mount in mounts], {"/proc", root, *hidden})
    for mount in mounts:
        _make_point(root + mount["target"], os.path.isdir(mount["source"]))
    if _mount("proc", f"{root}/proc", "proc", NOSUID | NODEV, required=False):
        _mount("/proc", f"{root}/proc", None, BIND | RECURSIVE)
    _read_only(root, True, AT_RECURSIVE)
    for mount in mounts:
        target = root + mount["target"]
        # An earlier mount may cover the point that was made; what it shows can be written to then.
        _make_point(target, os.path.isdir(mount["source"]))
        _mount(mount["source"], target, None, BIND | RECURSIVE)
        _read_only(target, mount["read_only"])
    if os.path.isdir(f"{root}/dev/shm"):
        _mount("shm", f"{root}/dev/shm", "tmpfs", NOSUID | NODEV, "size=64m")  # the size that container runtimes give
    os.chroot(root)


def _privileges(plan: dict[str, Any]) -> None:
    _libc.prctl(AMBIENT, CLEAR_ALL, 0, 0, 0)
    if plan["drop_capabilities"]:
        for number in range(CAPABILITIES):
            _libc.prctl(DROP_BOUNDING, number, 0, 0, 0)
    if plan["no_new_privileges"]:
        _libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _expose(real: str, made: str, targets: list[str], hidden: set[str]) -> None:
    """Show the entries of ``real`` in ``made``, a directory that may be written to, except those that are hidden."""
    for entry in os.scandir(real):
        shown = f"{made}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), shown)
        elif not entry.is_dir():
            _make_point(shown, False)
            _mount(entry.path, shown, None, BIND, required=False)
        else:
            os.mkdir(shown)
            inside = f"{entry.path}/"
            below = [target for target in targets if (target + "/").startswith(inside)]
            if entry.path in hidden:
                continue
            if any(path.startswith(inside) for path in hidden) or not all(os.path.exists(target) for target in below):
                _expose(entry.path, shown, below, hidden)
            else:
                _mount(entry.path, shown, None, BIND | RECURSIVE, required=False)


def _make_point(path: str, directory: bool) -> None:
    if os.path.lexists(path):
        return
    os.makedirs(path if directory else os.path.dirname(path), exist_ok=True)
    if not directory:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "", *, required: bool = True) -> int:
    failed = _libc.mount(source.encode(), target.encode(), kind and kind.encode(), flags, data.encode() or None)
    if failed and required:
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {source} on {target}: {os.strerror(number)}")
    return int(failed)


def _read_only(path: str, on: bool, flags: int = 0) -> None:
    attributes = (ctypes.c_uint64 * 4)(READ_ONLY if on else 0, 0 if on else READ_ONLY, 0, 0)
    if _libc.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, attributes, ctypes.sizeof(attributes)):
        number = ctypes.get_errno()
        raise OSError(number, f"making {path} {'read-only' if on else 'writable'}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
