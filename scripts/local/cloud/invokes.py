"""Functions of the aws provider (data sources), answered from the account's facts or from moto."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.local.cloud import answers
from scripts.local.cloud.backend import Properties, Refused
from scripts.local.cloud.session import CloudError, Session

# Accounts and zones of AWS's own, per region (AWS documentation: "Elastic Load Balancing endpoints and quotas",
# "Configure standard logging", "Enable access logs"; the same values are in terraform-provider-aws 5, in its data
# sources aws_elb_service_account and aws_lb_hosted_zone_id).
_CLOUDFRONT_LOGS = "c4c1ede66af53448b93c283ce9448c4ba468c9432aa01d700d3878632f77d2d0"
_ELB_ACCOUNTS = {
    "eu-west-1": "156460612806",
    "eu-west-3": "009996457667",
    "eu-central-1": "054676820928",
    "us-east-1": "127311923021",
}
LOAD_BALANCER_ZONES = {
    "application": {
        "eu-west-1": "Z32O12XQLNTSW2",
        "eu-west-3": "Z3Q77PNBQS71R4",
        "eu-central-1": "Z215JYRZR1TBD5",
        "us-east-1": "Z35SXDOTRQ7X7K",
    },
    "network": {
        "eu-west-1": "Z2IFOLAFXWLO4F",
        "eu-west-3": "Z1CMS0P5QUZ6D5",
        "eu-central-1": "Z3F0SRJ5LGBH90",
        "us-east-1": "Z26RNL4JYFTOTI",
    },
}


@dataclass(frozen=True, slots=True)
class Question:
    """What one invocation is about."""

    arguments: Properties
    session: Session
    region: str
    default_tags: Mapping[str, str]

    def call(self, service: str, method: str, **parameters: Any) -> dict[str, Any]:
        """Call AWS; an argument that names nothing is the program's error."""
        try:
            return self.session.call(service, method, parameters, self.region)
        except CloudError as error:
            raise Refused("", str(error)) from error


def invoke(
    token: str, arguments: Properties, session: Session, region: str, default_tags: Mapping[str, str]
) -> Properties:
    """Answer one function; arguments are echoed, as the real provider does."""
    if token not in _ANSWERS:
        raise Refused(
            "",
            f"{token} is not in the simulated cloud yet: add it to scripts/local/cloud/invokes.py",
        )
    answer = _ANSWERS[token](Question(arguments, session, region, default_tags))
    return {"id": region, "region": region, **arguments, **answer}


def _zones(question: Question) -> Properties:
    found = question.call("ec2", "describe_availability_zones")["AvailabilityZones"]
    excluded = question.arguments.get("excludeNames") or []
    kept = [zone for zone in found if zone["ZoneName"] not in excluded]
    return {
        "names": [zone["ZoneName"] for zone in kept],
        "zoneIds": [zone["ZoneId"] for zone in kept],
        "groupNames": [question.region],
    }


def _identity(question: Question) -> Properties:
    account = question.session.account
    return {
        "accountId": account,
        "arn": f"arn:aws:sts::{account}:assumed-role/operator/session",
        "id": account,
        "userId": "AROASIMULATED:session",
    }


def _region(question: Question) -> Properties:
    region = question.region
    return {
        "name": region,
        "region": region,
        "id": region,
        "description": region,
        "endpoint": f"ec2.{region}.amazonaws.com",
    }


def _partition(_: Question) -> Properties:
    return {"partition": "aws", "id": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _service_principal(question: Question) -> Properties:
    service = question.arguments["serviceName"]
    return {
        "name": f"{service}.amazonaws.com",
        "suffix": "amazonaws.com",
        "id": f"{service}.{question.region}.amazonaws.com",
    }


def _policy_document(question: Question) -> Properties:
    statements = [_statement(each) for each in question.arguments.get("statements") or []]
    for source in question.arguments.get("sourcePolicyDocuments") or []:
        statements = [*json.loads(source)["Statement"], *statements]
    for override in question.arguments.get("overridePolicyDocuments") or []:
        added = json.loads(override)["Statement"]
        sids = {each["Sid"] for each in added if each.get("Sid")}
        statements = [*(each for each in statements if each.get("Sid") not in sids), *added]
    head = {"Id": question.arguments["policyId"]} if question.arguments.get("policyId") else {}
    document = {"Version": question.arguments.get("version") or "2012-10-17", **head, "Statement": statements}
    text = json.dumps(document, indent=2)
    return {"json": text, "minifiedJson": json.dumps(document, separators=(",", ":")), "id": str(abs(hash(text)))}


def _statement(given: Mapping[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": given["sid"]} if given.get("sid") else {}
    statement["Effect"] = given.get("effect") or "Allow"
    for name, key in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if given.get(name):
            statement[key] = _one_or_many(given[name])
    for name, key in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        for principal in given.get(name) or []:
            if principal["type"] == "*":
                statement[key] = "*"
            else:
                statement.setdefault(key, {})[principal["type"]] = _one_or_many(principal["identifiers"])
    for condition in given.get("conditions") or []:
        statement.setdefault("Condition", {}).setdefault(condition["test"], {})[condition["variable"]] = _one_or_many(
            condition["values"]
        )
    return statement


def _one_or_many(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else sorted(values)


def _first(
    service: str, method: str, path: str, what: str, parameters: Callable[[Properties], dict[str, Any]], id: str
) -> Callable[[Question], Properties]:
    """An answer that is the one thing a describe call finds."""

    def answer(question: Question) -> Properties:
        found = question.call(service, method, **parameters(question.arguments))[path]
        if len(found) != 1:
            raise Refused("", f"{len(found)} {what} match {question.arguments}, but exactly one must")
        return {**answers.camel(found[0]), "id": found[0].get(id)}

    return answer


def _ec2_filters(ids: str) -> Callable[[Properties], dict[str, Any]]:
    def build(arguments: Properties) -> dict[str, Any]:
        filters = [{"Name": each["name"], "Values": each["values"]} for each in arguments.get("filters") or []]
        filters += [{"Name": f"tag:{key}", "Values": [value]} for key, value in (arguments.get("tags") or {}).items()]
        filters += [{"Name": "is-default", "Values": ["true"]}] if arguments.get("default") else []
        parameters: dict[str, Any] = {"Filters": filters} if filters else {}
        return {**parameters, ids: [arguments["id"]]} if arguments.get("id") else parameters

    return build


def _subnets(question: Question) -> Properties:
    found = question.call("ec2", "describe_subnets", **_ec2_filters("SubnetIds")(question.arguments))["Subnets"]
    return {"ids": [subnet["SubnetId"] for subnet in found]}


def _prefix_list(question: Question) -> Properties:
    name = question.arguments.get("name") or question.arguments.get("prefixListId") or ""
    found = question.call("ec2", "describe_managed_prefix_lists")["PrefixLists"]
    match = [each for each in found if name in (each["PrefixListName"], each["PrefixListId"])]
    if not match:
        raise Refused(
            "name", f"is {name!r}, but the managed prefix lists here are: {[each['PrefixListName'] for each in found]}"
        )
    return {
        "id": match[0]["PrefixListId"],
        "name": match[0]["PrefixListName"],
        "arn": match[0]["PrefixListArn"],
        "cidrBlocks": [],
        "entries": [],
    }


def _parameter(question: Question) -> Properties:
    name = question.arguments["name"]
    found = question.call("ssm", "get_parameter", Name=name, WithDecryption=True)["Parameter"]
    return {
        **answers.camel(found),
        "id": name,
        "value": found["Value"],
        "arn": found["ARN"],
        "insecureValue": found["Value"],
    }


def _secret_version(question: Question) -> Properties:
    found = question.call("secretsmanager", "get_secret_value", SecretId=question.arguments["secretId"])
    return {
        "arn": found["ARN"],
        "secretString": found.get("SecretString"),
        "versionId": found["VersionId"],
        "id": found["ARN"],
    }


def _token(question: Question) -> Properties:
    data = question.call("ecr", "get_authorization_token")["authorizationData"][0]
    return {
        "authorizationToken": data["authorizationToken"],
        "proxyEndpoint": data["proxyEndpoint"],
        "expiresAt": str(data["expiresAt"]),
        "userName": "AWS",
        "password": "simulated",
    }


def _cluster(question: Question) -> Properties:
    cluster = question.call("eks", "describe_cluster", name=question.arguments["name"])["cluster"]
    identities = [{"oidcs": [{"issuer": cluster["identity"]["oidc"]["issuer"]}]}]
    return {
        **answers.camel(cluster),
        "id": cluster["name"],
        "identities": identities,
        "certificateAuthorities": [cluster["certificateAuthority"]],
    }


def _image(question: Question) -> Properties:
    filters = [{"Name": each["name"], "Values": each["values"]} for each in question.arguments.get("filters") or []]
    found = question.call(
        "ec2", "describe_images", Owners=question.arguments.get("owners") or ["amazon"], Filters=filters
    )["Images"]
    if not found:
        raise Refused("filters", f"match no image: {filters}")
    newest = max(found, key=lambda image: str(image.get("CreationDate")))
    return {**answers.camel(newest), "id": newest["ImageId"]}


def _table(question: Question, table: Mapping[str, str], what: str) -> str:
    if question.region not in table:
        raise Refused("region", f"is {question.region!r}; {what} is known here for: {', '.join(table)}")
    return table[question.region]


_ANSWERS: Mapping[str, Callable[[Question], Properties]] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getServicePrincipal:getServicePrincipal": _service_principal,
    "aws:index/getDefaultTags:getDefaultTags": lambda q: {"tags": dict(q.default_tags)},
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
    "aws:iam/getRole:getRole": lambda q: answers.camel(q.call("iam", "get_role", RoleName=q.arguments["name"])["Role"]),
    "aws:iam/getPolicy:getPolicy": lambda q: answers.camel(
        q.call("iam", "get_policy", PolicyArn=q.arguments["arn"])["Policy"]
    ),
    "aws:ec2/getVpc:getVpc": _first("ec2", "describe_vpcs", "Vpcs", "VPCs", _ec2_filters("VpcIds"), "VpcId"),
    "aws:ec2/getSubnet:getSubnet": _first(
        "ec2", "describe_subnets", "Subnets", "subnets", _ec2_filters("SubnetIds"), "SubnetId"
    ),
    "aws:ec2/getSubnets:getSubnets": _subnets,
    "aws:ec2/getSecurityGroup:getSecurityGroup": _first(
        "ec2", "describe_security_groups", "SecurityGroups", "security groups", _ec2_filters("GroupIds"), "GroupId"
    ),
    "aws:ec2/getPrefixList:getPrefixList": _prefix_list,
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": _prefix_list,
    "aws:ec2/getAmi:getAmi": _image,
    "aws:ssm/getParameter:getParameter": _parameter,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _secret_version,
    "aws:secretsmanager/getSecret:getSecret": lambda q: answers.camel(
        q.call("secretsmanager", "describe_secret", SecretId=q.arguments.get("name") or q.arguments.get("arn"))
    ),
    "aws:kms/getKey:getKey": lambda q: answers.camel(
        q.call("kms", "describe_key", KeyId=q.arguments["keyId"])["KeyMetadata"]
    ),
    "aws:kms/getAlias:getAlias": lambda q: {
        "targetKeyId": q.call("kms", "describe_key", KeyId=q.arguments["name"])["KeyMetadata"]["KeyId"],
        "targetKeyArn": q.call("kms", "describe_key", KeyId=q.arguments["name"])["KeyMetadata"]["Arn"],
    },
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _token,
    "aws:eks/getCluster:getCluster": _cluster,
    "aws:eks/getClusterAuth:getClusterAuth": lambda q: {"token": "k8s-aws-v1.simulated", "id": q.arguments["name"]},
    "aws:elb/getServiceAccount:getServiceAccount": lambda q: {
        "arn": f"arn:aws:iam::{_table(q, _ELB_ACCOUNTS, 'the account')}:root",
        "id": _table(q, _ELB_ACCOUNTS, "the account"),
    },
    "aws:lb/getHostedZoneId:getHostedZoneId": lambda q: _balancer_zone(q),
    "aws:cloudfront/getLogDeliveryCanonicalUserId:getLogDeliveryCanonicalUserId": lambda q: {"id": _CLOUDFRONT_LOGS},
    "aws:route53/getZone:getZone": lambda q: _zone(q),
}


def _balancer_zone(question: Question) -> Properties:
    kind = question.arguments.get("loadBalancerType") or "application"
    if kind not in LOAD_BALANCER_ZONES:
        raise Refused("loadBalancerType", f"is {kind!r}, but must be one of {', '.join(LOAD_BALANCER_ZONES)}")
    return {"id": _table(question, LOAD_BALANCER_ZONES[kind], f"the zone of {kind} load balancers")}


def _zone(question: Question) -> Properties:
    wanted = str(question.arguments.get("name", "")).rstrip(".") + "."
    found = [
        z
        for z in question.call("route53", "list_hosted_zones")["HostedZones"]
        if z["Name"] == wanted or z["Id"].endswith(str(question.arguments.get("zoneId")))
    ]
    if not found:
        raise Refused("name", f"is {wanted!r}, but there is no such hosted zone")
    id = found[0]["Id"].rsplit("/", 1)[-1]
    return {"id": id, "zoneId": id, "name": found[0]["Name"].rstrip("."), "arn": f"arn:aws:route53:::hostedzone/{id}"}
