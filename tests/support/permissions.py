"""Roles of the simulated cloud, taken as pods take them, and refused what they do not allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
from botocore.exceptions import ClientError

from scripts.local.cloud import running

# What the message says of a call that no statement allows; its code differs by protocol.
_DENIED = "is not authorized to perform"
_NEVER = "inf"


@contextmanager
def enforcing(cloud: running.Addresses) -> Iterator[None]:
    """Every request is judged by IAM for the length of a block; without, the cloud asks nobody who they are."""
    _count(cloud, "0")
    try:
        yield
    finally:
        _count(cloud, _NEVER)


def taking(cloud: running.Addresses, role_arn: str) -> Callable[..., Any]:
    """Makes clients with the credentials of a role."""
    make: Any = credentials(cloud, role_arn).client
    return lambda service: make(service, endpoint_url=cloud.endpoint)


def credentials(cloud: running.Addresses, role_arn: str) -> boto3.Session:
    """A session of a role."""
    given = cloud.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
    return boto3.Session(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=cloud.region
    )


def denied(call: Callable[..., Any], **parameters: Any) -> bool:
    """Whether a call is refused for lack of permission; any other failure is raised."""
    try:
        call(**parameters)
    except ClientError as error:
        if _DENIED in str(error):
            return True
        raise
    return False


def _count(cloud: running.Addresses, requests: str) -> None:
    """Moto counts the requests that it lets through before it begins to ask."""
    httpx.post(f"{cloud.endpoint}/moto-api/reset-auth", content=requests).raise_for_status()
