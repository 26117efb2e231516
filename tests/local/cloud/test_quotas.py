"""Quotas of the account, as far as somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def test_there_is_a_quota_of_instances_and_none_that_nobody_knows(client: Callable[..., Any]) -> None:
    quotas = client("service-quotas")
    found = quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]
    assert (found["Value"], found["QuotaName"].split()[0]) == (5, "Running")
    assert quotas.get_service_quota(ServiceCode="vpc", QuotaCode="L-F678F1CE")["Quota"]["Value"] == 5
    with pytest.raises(ClientError, match="NoSuchResource"):
        quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")
