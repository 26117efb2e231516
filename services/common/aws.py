"""boto3 clients for asyncio: calls run on threads of their own, with time limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """Runs blocking calls on at most ``size`` threads; asyncio's own pool is smaller than the number of waiting
    polls.
    """

    def __init__(self, size: int) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="aws")

    async def __call__(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: call(*args, **kwargs))


def step_functions(region: str, *, connections: int = 10) -> SFNClient:
    """A client of Step Functions."""
    return boto3.client("stepfunctions", region_name=region, config=_config(10, connections))


def sqs(region: str, *, longest_poll: int, connections: int = 10) -> SQSClient:
    """A client of SQS whose reads outlast a long poll of ``longest_poll`` seconds."""
    return boto3.client("sqs", region_name=region, config=_config(longest_poll + 10, connections))


def _config(read_timeout: int, connections: int) -> Config:
    return Config(
        connect_timeout=3,
        read_timeout=read_timeout,
        retries={"mode": "standard", "max_attempts": 3},
        max_pool_connections=connections,
    )
