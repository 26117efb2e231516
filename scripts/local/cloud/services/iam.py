"""IAM. moto checks policy documents and refuses to delete what is still attached."""

from __future__ import annotations

from typing import Any

from scripts.local.cloud.services.guards import unless_used
from scripts.local.cloud.table import Call, Literal, Row, Scope, by


def _document(name: str) -> Any:
    """Documents come back as dictionaries: as JSON text they compare with what was given."""
    import json

    def convert(_: Scope, found: dict[str, Any]) -> Any:
        value = found.get(name)
        return json.dumps(value) if isinstance(value, dict) else value

    return convert


def _managed(scope: Scope) -> None:
    """Bring the attached policies of a role to ``managedPolicyArns``, where the program says them."""
    if "managedPolicyArns" in scope.inputs or "managedPolicyArns" in scope.old:
        listed = scope.call("iam", "list_attached_role_policies", RoleName=scope.id)["AttachedPolicies"]
        there, wanted = {each["PolicyArn"] for each in listed}, set(scope.inputs.get("managedPolicyArns") or [])
        for arn in sorted(wanted - there):
            scope.call("iam", "attach_role_policy", RoleName=scope.id, PolicyArn=arn)
        for arn in sorted(there - wanted):
            scope.call("iam", "detach_role_policy", RoleName=scope.id, PolicyArn=arn)
    for inline in scope.inputs.get("inlinePolicies") or []:
        scope.call(
            "iam", "put_role_policy", RoleName=scope.id, PolicyName=inline["name"], PolicyDocument=inline["policy"]
        )


def _inline(kind: str, key: str) -> Row:
    """RolePolicy, UserPolicy, GroupPolicy: an inline policy named within its owner."""
    owner = f"{key[0].lower()}{key[1:]}".removesuffix("Name")
    return Row(
        token=f"aws:iam/{kind}Policy:{kind.capitalize()}Policy",
        service="iam",
        create=Call(f"put_{kind}_policy", {key: owner, "PolicyName": "name", "PolicyDocument": "policy"}),
        upsert=True,
        id=lambda s, _: f"{s[owner]}:{s['name']}",
        read=by(f"get_{kind}_policy", {key: owner, "PolicyName": "name"}),
        delete=by(f"delete_{kind}_policy", {key: owner, "PolicyName": "name"}),
        outputs={"policy": _document("PolicyDocument"), owner: key, "name": "PolicyName"},
        replaces=(owner, "name"),
        mutable=("policy",),
        longest=128,
    )


def _attachment(kind: str, key: str) -> Row:
    owner = kind
    return Row(
        token=f"aws:iam/{kind}PolicyAttachment:{kind.capitalize()}PolicyAttachment",
        service="iam",
        create=Call(f"attach_{kind}_policy", {key: owner, "PolicyArn": "policyArn"}),
        id=lambda s, _: f"{s[owner]}/{s['policyArn']}",
        read=by(f"list_attached_{kind}_policies", {key: lambda s: s[owner] or s.id.split("/", 1)[0]}),
        at=lambda s, a: next(
            (each for each in a["AttachedPolicies"] if each["PolicyArn"] == (s["policyArn"] or s.id.split("/", 1)[1])),
            None,
        ),
        delete=by(f"detach_{kind}_policy", {key: owner, "PolicyArn": "policyArn"}),
        outputs={owner: lambda s, _: s[owner] or s.id.split("/", 1)[0]},
        name=None,
    )


def _delete_old_versions(scope: Scope) -> None:
    """A policy has at most five versions: those that are not the default go after every change."""
    for version in scope.call("iam", "list_policy_versions", PolicyArn=scope.id)["Versions"]:
        if not version["IsDefaultVersion"]:
            scope.call("iam", "delete_policy_version", PolicyArn=scope.id, VersionId=version["VersionId"])


def _policy_document(scope: Scope, found: dict[str, Any]) -> Any:
    answer = scope.call("iam", "get_policy_version", PolicyArn=scope.id, VersionId=found["DefaultVersionId"])
    return _document("Document")(scope, answer["PolicyVersion"])


ROWS = (
    Row(
        token="aws:iam/role:Role",
        service="iam",
        create=Call("create_role", {"RoleName": "name", "AssumeRolePolicyDocument": "assumeRolePolicy"}),
        id="Role.RoleName",
        read=by("get_role", {"RoleName": "id"}),
        at="Role",
        after=(
            Call(
                "put_role_permissions_boundary",
                {"RoleName": "id", "PermissionsBoundary": "permissionsBoundary"},
                when=("permissionsBoundary",),
                auto=False,
            ),
        ),
        update=(
            Call("update_role", {"RoleName": "id"}, when=("description", "maxSessionDuration")),
            Call("update_assume_role_policy", {"RoleName": "id", "PolicyDocument": "assumeRolePolicy"}, auto=False),
        ),
        delete=by("delete_role", {"RoleName": "id"}),
        names={"name": "RoleName", "uniqueId": "RoleId", "assumeRolePolicy": "AssumeRolePolicyDocument"},
        outputs={
            "assumeRolePolicy": _document("AssumeRolePolicyDocument"),
            "permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn",
        },
        defaults={"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": False},
        longest=64,
        guards=(
            unless_used(
                "an instance profile",
                "iam",
                "list_instance_profiles_for_role",
                "InstanceProfiles[].InstanceProfileName",
                RoleName="{id}",
            ),
        ),
        made=_managed,
    ),
    Row(
        token="aws:iam/policy:Policy",
        service="iam",
        create=Call("create_policy", {"PolicyName": "name", "PolicyDocument": "policy"}),
        id="Policy.Arn",
        read=by("get_policy", {"PolicyArn": "id"}),
        at="Policy",
        update=(
            Call(
                "create_policy_version",
                {"PolicyArn": "id", "PolicyDocument": "policy", "SetAsDefault": Literal(True)},
                when=("policy",),
                auto=False,
            ),
        ),
        delete=by("delete_policy", {"PolicyArn": "id"}),
        names={"name": "PolicyName"},
        outputs={"policy": _policy_document},
        guards=(unless_used("a role", "iam", "list_entities_for_policy", "PolicyRoles[].RoleName", PolicyArn="{id}"),),
        longest=128,
        defaults={"path": "/"},
        made=_delete_old_versions,
    ),
    _inline("role", "RoleName"),
    _inline("user", "UserName"),
    _inline("group", "GroupName"),
    _attachment("role", "RoleName"),
    _attachment("user", "UserName"),
    _attachment("group", "GroupName"),
    Row(
        token="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        service="iam",
        create=Call(
            "create_open_id_connect_provider", {"ClientIDList": "clientIdLists", "ThumbprintList": "thumbprintLists"}
        ),
        id="OpenIDConnectProviderArn",
        read=by("get_open_id_connect_provider", {"OpenIDConnectProviderArn": "id"}),
        update=(
            Call(
                "update_open_id_connect_provider_thumbprint",
                {"OpenIDConnectProviderArn": "id", "ThumbprintList": "thumbprintLists"},
                when=("thumbprintLists",),
                auto=False,
            ),
        ),
        delete=by("delete_open_id_connect_provider", {"OpenIDConnectProviderArn": "id"}),
        outputs={"arn": lambda s, _: s.id, "clientIdLists": "ClientIDList", "thumbprintLists": "ThumbprintList"},
        replaces=("clientIdLists",),
        name=None,
    ),
    Row(
        token="aws:iam/instanceProfile:InstanceProfile",
        service="iam",
        create=Call("create_instance_profile", {"InstanceProfileName": "name"}),
        id="InstanceProfile.InstanceProfileName",
        read=by("get_instance_profile", {"InstanceProfileName": "id"}),
        at="InstanceProfile",
        after=(
            Call(
                "add_role_to_instance_profile",
                {"InstanceProfileName": "id", "RoleName": "role"},
                when=("role",),
                auto=False,
            ),
        ),
        before_delete=(by("remove_role_from_instance_profile", {"InstanceProfileName": "id", "RoleName": "role"}),),
        delete=by("delete_instance_profile", {"InstanceProfileName": "id"}),
        names={"name": "InstanceProfileName", "uniqueId": "InstanceProfileId"},
        outputs={"role": "Roles[0].RoleName"},
        replaces=("role",),
    ),
    Row(
        token="aws:iam/user:User",
        service="iam",
        create=Call("create_user", {"UserName": "name"}),
        id="User.UserName",
        read=by("get_user", {"UserName": "id"}),
        at="User",
        delete=by("delete_user", {"UserName": "id"}),
        names={"name": "UserName", "uniqueId": "UserId"},
        longest=64,
    ),
    Row(
        token="aws:iam/group:Group",
        service="iam",
        create=Call("create_group", {"GroupName": "name"}),
        id="Group.GroupName",
        read=by("get_group", {"GroupName": "id"}),
        at="Group",
        delete=by("delete_group", {"GroupName": "id"}),
        names={"name": "GroupName", "uniqueId": "GroupId"},
    ),
    Row(
        token="aws:iam/accessKey:AccessKey",
        service="iam",
        create=Call("create_access_key", {"UserName": "user"}),
        id="AccessKey.AccessKeyId",
        read=by("list_access_keys", {"UserName": "user"}),
        at="AccessKeyMetadata[?AccessKeyId=='{id}'] | [0]",
        delete=by("delete_access_key", {"UserName": "user", "AccessKeyId": "id"}),
        name=None,
    ),
    Row(
        token="aws:iam/serviceLinkedRole:ServiceLinkedRole",
        service="iam",
        create=Call("create_service_linked_role"),
        id="Role.Arn",
        read=by("get_role", {"RoleName": lambda s: s.id.rsplit("/", 1)[1]}),
        at="Role",
        names={"name": "RoleName", "uniqueId": "RoleId"},
        delete=by("delete_service_linked_role", {"RoleName": "name"}),
        name=None,
    ),
    Row(
        token="aws:iam/accountPasswordPolicy:AccountPasswordPolicy",
        service="iam",
        create=Call("update_account_password_policy"),
        upsert=True,
        id=lambda s, _: "iam-account-password-policy",
        read=by("get_account_password_policy"),
        at="PasswordPolicy",
        delete=by("delete_account_password_policy"),
        name=None,
    ),
    Row(
        token="aws:iam/accountAlias:AccountAlias",
        service="iam",
        create=Call("create_account_alias"),
        id="inputs.accountAlias",
        read=by("list_account_aliases"),
        delete=by("delete_account_alias", {"AccountAlias": "id"}),
        name=None,
    ),
)
