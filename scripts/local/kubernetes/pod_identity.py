"""The two calls of Amazon EKS that find a pod's role, which moto lacks, in front of a moto server.

The simulated cloud keeps PodIdentityAssociations beside moto; with this in front, boto3 (and so the local node) reads
them as on AWS: ListPodIdentityAssociations and DescribePodIdentityAssociation.
https://docs.aws.amazon.com/eks/latest/APIReference/API_ListPodIdentityAssociations.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote

TOKEN: Final = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_PATH = re.compile(r"^/clusters/([^/]+)/pod-identity-associations(?:/([^/]+))?$")
_SUMMARY = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
_WHOLE = (*_SUMMARY, "roleArn", "targetRoleArn", "tags")


def in_front_of(application: Application, associations: Callable[[], Iterable[Mapping[str, Any]]]) -> Application:
    """``application`` with the two calls; ``associations`` gives the outputs of every association that exists."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        match = _PATH.match(environ.get("PATH_INFO", ""))
        if match is None or environ.get("REQUEST_METHOD") != "GET":
            return application(environ, start)
        cluster, id = unquote(match[1]), match[2]
        found = [each for each in associations() if each.get("clusterName") == cluster]
        if id is None:
            query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
            for field in ("namespace", "serviceAccount"):
                found = [each for each in found if query.get(field) in (None, each.get(field))]
            return _send(start, "200 OK", {"associations": [_only(each, _SUMMARY) for each in found]})
        for each in found:
            if each.get("associationId") == id:
                return _send(start, "200 OK", {"association": _only(each, _WHOLE)})
        message = f"Association not found: {id}"
        return _send(start, "404 Not Found", {"message": message}, ("x-amzn-ErrorType", "ResourceNotFoundException"))

    return answer


def _only(association: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    return {field: association[field] for field in fields if association.get(field) is not None}


def _send(start: Callable[..., Any], status: str, body: Any, *headers: tuple[str, str]) -> Iterable[bytes]:
    start(status, [("Content-Type", "application/json"), *headers])
    return [json.dumps(body).encode()]
