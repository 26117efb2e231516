"""AWS calls that moto lacks, answered over the same endpoint from the store beside it, so that boto3 sees what is kept.

Only what the platform itself asks: EKS add-ons, access entries and Pod Identity associations, list and describe; and
the answer of a Lambda function (`functions`), which moto would look for in a container.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from scripts.local.cloud import functions
from scripts.local.cloud.backend import Properties
from scripts.local.cloud.serial import Application
from scripts.local.cloud.session import Session

_PATH = re.compile(
    r"/clusters/(?P<cluster>[^/]+)/(?P<kind>pod-identity-associations|addons|access-entries)"
    r"(?:/(?P<id>[^/]+(?:/(?!access-policies$)[^/]+)*))?(?P<policies>/access-policies)?$"
)
_INVOCATION = re.compile(r"/2015-03-31/functions/(?P<name>[^/]+)/invocations")
_IN_ARN = re.compile(r"function:([^:]+)")
_REGION = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/lambda/")
_TYPES = {
    "pod-identity-associations": "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    "addons": "aws:eks/addon:Addon",
    "access-entries": "aws:eks/accessEntry:AccessEntry",
}
_POLICIES = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"


def with_store(moto: Application, session: Callable[[], Session]) -> Application:
    """``moto`` with EKS's reads of kept resources and Lambda's answers given here."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        called = _INVOCATION.fullmatch(unquote(environ.get("PATH_INFO", "")))
        if called and environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse") == "RequestResponse":
            return _run(session(), called["name"], environ, start_response)
        match = _PATH.fullmatch(environ.get("PATH_INFO", ""))
        signed_for_eks = "/eks/" in environ.get("HTTP_AUTHORIZATION", "")
        if match is None or not signed_for_eks or environ["REQUEST_METHOD"] != "GET":
            return moto(environ, start_response)
        query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        answer = _answer(session(), match, query)
        found = answer is not None
        missing = {"message": f"No {match['kind']} {match['id']} in cluster {match['cluster']}"}
        body = json.dumps(answer if found else missing).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        if not found:
            headers.append(("x-amzn-ErrorType", "ResourceNotFoundException"))
        start_response("200 OK" if found else "404 Not Found", headers)
        return [body]

    return application


def _run(session: Session, name: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    event = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode() or "{}"
    signed = _REGION.search(environ.get("HTTP_AUTHORIZATION", ""))
    short = _IN_ARN.search(name)
    headers = [("Content-Type", "application/json")]
    try:
        answer = functions.run(
            short[1] if short else name,
            event,
            account=session.account,
            region=signed[1] if signed else "",
            endpoint=session.endpoint,
        )
    except functions.NoFunction as error:
        body = json.dumps({"Type": "User", "Message": str(error)}).encode()
        start_response("404 Not Found", [*headers, ("x-amzn-ErrorType", "ResourceNotFoundException")])
        return [body]
    if answer.failed:
        headers.append(("X-Amz-Function-Error", "Unhandled"))
    start_response("200 OK", headers)
    return [answer.payload.encode()]


def _answer(session: Session, match: re.Match[str], query: Mapping[str, str]) -> dict[str, Any] | None:
    kind, id = match["kind"], unquote(match["id"] or "")
    kept = [each for each in session.all_kept(_TYPES[kind]).values() if each.get("clusterName") == match["cluster"]]
    if match["policies"]:
        policies = [p for p in session.all_kept(_POLICIES).values() if p.get("clusterName") == match["cluster"]]
        listed = [
            {"policyArn": p["policyArn"], "accessScope": p["accessScope"]} for p in policies if p["principalArn"] == id
        ]
        return {"clusterName": match["cluster"], "principalArn": id, "associatedAccessPolicies": listed}
    if kind == "pod-identity-associations":
        if id:
            return _one("association", (_association(each) for each in kept if each["associationId"] == id))
        wanted = [
            each for each in kept if all(each.get(name) == value for name, value in query.items() if name in each)
        ]
        return {"associations": [_association(each) for each in wanted]}
    if kind == "addons":
        if id:
            return _one("addon", (_addon(each) for each in kept if each["addonName"] == id))
        return {"addons": [each["addonName"] for each in kept]}
    if id:
        return _one("accessEntry", (_entry(each) for each in kept if each["principalArn"] == id))
    return {"accessEntries": [each["principalArn"] for each in kept]}


def _one(name: str, found: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    first = next(iter(found), None)
    return None if first is None else {name: first}


def _association(kept: Properties) -> dict[str, Any]:
    names = ("clusterName", "namespace", "serviceAccount", "roleArn", "associationArn", "associationId")
    return {**{name: kept.get(name) for name in names}, "tags": kept.get("tagsAll") or {}}


def _addon(kept: Properties) -> dict[str, Any]:
    return {
        "addonName": kept["addonName"],
        "clusterName": kept["clusterName"],
        "status": "ACTIVE",
        "addonVersion": kept.get("addonVersion"),
        "addonArn": kept.get("arn"),
        "tags": kept.get("tagsAll") or {},
    }


def _entry(kept: Properties) -> dict[str, Any]:
    return {
        "clusterName": kept["clusterName"],
        "principalArn": kept["principalArn"],
        "kubernetesGroups": kept.get("kubernetesGroups") or [],
        "accessEntryArn": kept.get("accessEntryArn"),
        "username": kept.get("userName"),
        "type": kept.get("type"),
        "tags": kept.get("tagsAll") or {},
    }
