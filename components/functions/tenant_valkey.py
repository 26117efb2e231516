"""What a preview left in the cache: every key that begins with its prefix, and no other."""

from __future__ import annotations

import socket
import ssl
from typing import Any, BinaryIO

from components.functions.rotation import Secret

_SECONDS = 30
# Keys looked at for each answer: long enough to be quick, short enough to keep nobody waiting.
_PAGE = "1000"


class Refused(RuntimeError):
    """The cache answers with an error."""


def give_up(login: Secret, prefix: str) -> int:
    """Delete the keys that begin with ``prefix``; returns how many. Raises Refused."""
    trust = ssl.create_default_context()
    removed, cursor = 0, "0"
    with (
        socket.create_connection((login["host"], int(login["port"])), timeout=_SECONDS) as plain,
        trust.wrap_socket(plain, server_hostname=login["host"]) as connection,
        connection.makefile("rwb") as stream,
    ):
        _ask(stream, "AUTH", login["username"], login["password"])
        while True:
            cursor, keys = _ask(stream, "SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _PAGE)
            if keys:
                removed += int(_ask(stream, "UNLINK", *keys))
            if cursor == "0":
                return removed


def _ask(stream: Any, *words: str) -> Any:
    """One command in Redis's own protocol, RESP2, and its answer."""
    encoded = [word.encode() for word in words]
    stream.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded))
    stream.flush()
    return _answer(stream)


def _answer(stream: BinaryIO) -> Any:
    line = stream.readline().decode().rstrip("\r\n")
    kind, value = line[:1], line[1:]
    if kind == "-":
        raise Refused(f"the cache answers: {value}")
    if kind == "*":
        return [_answer(stream) for _ in range(int(value))]
    if kind == "$":
        return stream.read(int(value) + 2)[:-2].decode() if int(value) >= 0 else None
    if kind in "+:" and kind:
        return value
    raise Refused(f"the cache answers {line!r}, which is not its protocol" if line else "the cache closed the session")
