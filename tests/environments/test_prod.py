"""Production whole, on the simulated cloud: what must hold of its resources, and its life from nothing to nothing."""

from __future__ import annotations

import json
from ipaddress import ip_network

import pytest

from components import aws_facts, responder
from runbooks._kit.target import Operations
from scripts import guard
from scripts.deployment import ROOT, Failed
from scripts.local import rehearsal
from scripts.state import Resource
from stacks.by_hand import FIXED, SECRETS_SET_BY_HAND
from tests.environments.conftest import Made, quiet
from tests.environments.recorded import Recorded

pytestmark = pytest.mark.timeout(600)
DATA = ("aws:rds/instance:Instance", "aws:mq/broker:Broker", "aws:elasticache/replicationGroup:ReplicationGroup")


@pytest.fixture(scope="module")
def program(prod: Made) -> Recorded:
    return prod.program


def rules_into(program: Recorded, group: str) -> list[dict[str, object]]:
    """What may enter a security group: rules within it and beside it."""
    inline = [
        rule
        for one in program.all("aws:ec2/securityGroup:SecurityGroup")
        if one.id == group
        for rule in one["ingress"] or []
    ]
    beside = [
        one.inputs
        for one in program.all("aws:ec2/securityGroupRule:SecurityGroupRule")
        if one["securityGroupId"] == group and one["type"] == "ingress"
    ]
    return inline + beside


def groups_of(resource: Resource) -> list[str]:
    """The security groups of a store."""
    found: list[str] = (
        resource["vpcSecurityGroupIds"] or resource["securityGroups"] or resource["securityGroupIds"] or []
    )
    return found


class TestNoDataTierIsReachableFromOutside:
    def test_stores_are_not_public(self, program: Recorded) -> None:
        assert not [one.name for one in program.all(*DATA) if one["publiclyAccessible"]]

    def test_only_named_groups_may_connect_never_an_address_range(self, program: Recorded) -> None:
        for store in program.all(*DATA):
            assert groups_of(store), store.name
            for group in groups_of(store):
                rules = rules_into(program, group)
                assert rules, f"nobody may connect to {store.name}"
                for rule in rules:
                    assert not rule.get("cidrBlocks"), (store.name, rule)
                    assert rule.get("securityGroups") or rule.get("sourceSecurityGroupId"), (store.name, rule)

    def test_data_subnets_have_no_route_out(self, program: Recorded) -> None:
        subnets = {one.id for one in program.all("aws:ec2/subnet:Subnet") if one["tags"]["Tier"] == "data"}
        assert len(subnets) == 3
        tables = {
            one["routeTableId"]
            for one in program.all("aws:ec2/routeTableAssociation:RouteTableAssociation")
            if one["subnetId"] in subnets
        }
        for table in program.all("aws:ec2/routeTable:RouteTable"):
            if table.id in tables:
                assert not table["routes"], table.name

    def test_stores_live_in_data_subnets_in_every_zone(self, program: Recorded) -> None:
        subnets = {one.id: one for one in program.all("aws:ec2/subnet:Subnet")}
        groups = program.all("aws:rds/subnetGroup:SubnetGroup", "aws:elasticache/subnetGroup:SubnetGroup")
        for group in groups:
            members = [subnets[each] for each in group["subnetIds"]]
            assert {one["tags"]["Tier"] for one in members} == {"data"}, group.name
            assert len({one["availabilityZone"] for one in members}) == 3, group.name

    def test_the_internet_gateway_serves_the_public_tier_alone(self, program: Recorded) -> None:
        [options] = program.all("aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions")
        assert options["internetGatewayBlockMode"] == "block-bidirectional"
        open_ = {
            one["subnetId"]
            for one in program.all("aws:ec2/vpcBlockPublicAccessExclusion:VpcBlockPublicAccessExclusion")
        }
        public = {one.id for one in program.all("aws:ec2/subnet:Subnet") if one["tags"]["Tier"] == "public"}
        assert open_ == public


class TestEverythingIsEncrypted:
    def test_databases_with_a_key_of_their_own(self, program: Recorded) -> None:
        instances = program.all("aws:rds/instance:Instance")
        assert all(one["storageEncrypted"] for one in instances)
        primaries = [one for one in instances if not one["replicateSourceDb"]]
        assert len({one["kmsKeyId"] for one in primaries}) == len(primaries)

    def test_databases_refuse_connections_without_tls(self, program: Recorded) -> None:
        for group in program.all("aws:rds/parameterGroup:ParameterGroup"):
            found = {each["name"]: each["value"] for each in group["parameters"]}
            assert found["rds.force_ssl"] == "1", group.name

    def test_caches_at_rest_and_on_the_way(self, program: Recorded) -> None:
        for one in program.all("aws:elasticache/replicationGroup:ReplicationGroup"):
            assert one["atRestEncryptionEnabled"], one.name
            assert one["transitEncryptionEnabled"], one.name
            assert one["kmsKeyId"], one.name

    def test_queues_topics_secrets_and_logs_with_our_keys(self, program: Recorded) -> None:
        for kind, key in (
            ("aws:sqs/queue:Queue", "kmsMasterKeyId"),
            ("aws:sns/topic:Topic", "kmsMasterKeyId"),
            ("aws:secretsmanager/secret:Secret", "kmsKeyId"),
            ("aws:cloudwatch/logGroup:LogGroup", "kmsKeyId"),
        ):
            assert not [one.name for one in program.all(kind) if not one[key]], kind

    def test_keys_turn_over_every_year(self, program: Recorded) -> None:
        assert all(one["enableKeyRotation"] for one in program.all("aws:kms/key:Key"))

    def test_queues_refuse_plain_http(self, program: Recorded) -> None:
        closed = {
            one["queueUrl"]
            for one in program.all("aws:sqs/queuePolicy:QueuePolicy")
            if "aws:SecureTransport" in one["policy"]
        }
        assert {one.outputs["url"] for one in program.all("aws:sqs/queue:Queue")} == closed


class TestEveryAlarmLeadsSomewhere:
    def test_to_a_runbook_that_exists_and_to_the_topic(self, program: Recorded) -> None:
        for one in program.all("aws:cloudwatch/metricAlarm:MetricAlarm"):
            assert (ROOT / "runbooks" / f"{one['tags']['Runbook']}.md").exists(), one.name
            assert f"runbooks/{one['tags']['Runbook']}.md" in one["alarmDescription"], one.name
            assert one["alarmActions"], one.name
            assert one["tags"]["Severity"] in {"page", "ticket"}, one.name

    def test_each_store_queue_and_function_has_one(self, program: Recorded) -> None:
        watched = json.dumps([one["dimensions"] for one in program.all("aws:cloudwatch/metricAlarm:MetricAlarm")])
        for one in program.all("aws:rds/instance:Instance", "aws:lambda/function:Function"):
            physical = one.outputs.get("identifier") or one.outputs.get("name")
            assert f'"{physical}"' in watched, f"nobody watches {one.name}"


class TestStatefulResourcesStay:
    STATEFUL = (
        *DATA,
        "aws:kms/key:Key",
        "aws:secretsmanager/secret:Secret",
        "aws:ecr/repository:Repository",
        "aws:ec2/vpc:Vpc",
    )

    def test_they_are_protected(self, program: Recorded) -> None:
        free = [one.name for one in program.all(*self.STATEFUL) if not one.protect and not one["replicateSourceDb"]]
        assert not free

    def test_databases_refuse_deletion_and_leave_a_snapshot(self, program: Recorded) -> None:
        for one in program.all("aws:rds/instance:Instance"):
            if not one["replicateSourceDb"]:
                assert one["deletionProtection"], one.name
                assert one["finalSnapshotIdentifier"], one.name
                assert not one["skipFinalSnapshot"], one.name

    def test_databases_are_backed_up_here_and_in_another_region(self, program: Recorded) -> None:
        primaries = [one for one in program.all("aws:rds/instance:Instance") if not one["replicateSourceDb"]]
        assert all(one["backupRetentionPeriod"] >= 7 for one in primaries)
        assert all(one["multiAz"] for one in primaries)
        copies = program.all("aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication")
        assert {one["sourceDbInstanceArn"] for one in copies} == {one.outputs["arn"] for one in primaries}
        assert {one["region"] for one in copies} == {"eu-west-1"}

    def test_secrets_have_a_copy_in_another_region(self, program: Recorded) -> None:
        for one in program.all("aws:secretsmanager/secret:Secret"):
            assert [replica["region"] for replica in one["replicas"]] == ["eu-west-1"], one.name


class TestSecrets:
    def test_each_rotates_or_is_set_by_hand_or_says_why_not(self, program: Recorded) -> None:
        rotating = {one["secretId"] for one in program.all("aws:secretsmanager/secretRotation:SecretRotation")}
        kept = {one.name for one in program.all("aws:secretsmanager/secret:Secret") if one.id not in rotating}
        assert kept == set(SECRETS_SET_BY_HAND) | set(FIXED)
        assert not set(SECRETS_SET_BY_HAND) & set(FIXED)

    def test_nobody_from_another_account_and_nobody_without_tls(self, program: Recorded) -> None:
        for one in program.all("aws:secretsmanager/secretPolicy:SecretPolicy"):
            assert "aws:PrincipalAccount" in one["policy"], one.name
            assert "aws:SecureTransport" in one["policy"], one.name
        assert len(program.all("aws:secretsmanager/secretPolicy:SecretPolicy")) == len(
            program.all("aws:secretsmanager/secret:Secret")
        )


class TestOperations:
    def test_runbooks_find_the_environment_by_its_name(self, prod: Made) -> None:
        parameter = prod.stack.client("ssm").get_parameter(Name="/prod/operations")["Parameter"]
        outputs = prod.stack.outputs()
        found = Operations.model_validate_json(parameter["Value"])
        assert (found.environment, found.region, found.account) == ("prod", "eu-west-3", outputs["account"])
        assert found.queue_urls == outputs["queueUrls"]
        assert set(found.dead_letter_urls) == set(found.queue_urls)
        # An advanced parameter's limit (Systems Manager User Guide, "Parameter tiers"), with room to grow.
        assert len(parameter["Value"]) < 7_000


class TestQueues:
    def test_each_has_a_dead_letter_queue_or_is_one(self, program: Recorded) -> None:
        queues = program.all("aws:sqs/queue:Queue")
        targets = {json.loads(one["redrivePolicy"])["deadLetterTargetArn"] for one in queues if one["redrivePolicy"]}
        functions = {one["deadLetterConfig"]["targetArn"] for one in program.all("aws:lambda/function:Function")}
        for one in queues:
            assert one["redrivePolicy"] or one.outputs["arn"] in targets | functions, one.name


class TestImages:
    def test_every_image_of_ours_is_named_by_digest(self, program: Recorded) -> None:
        images = [
            container["image"]
            for one in program.kubernetes("Deployment", "StatefulSet", "Job")
            for container in one["spec"]["template"]["spec"]["containers"]
        ]
        assert images
        assert not [image for image in images if "@sha256:" not in image]


class TestDefaults:
    def test_default_groups_lists_and_tables_are_empty(self, program: Recorded) -> None:
        [group] = program.all("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
        [acl] = program.all("aws:ec2/defaultNetworkAcl:DefaultNetworkAcl")
        [table] = program.all("aws:ec2/defaultRouteTable:DefaultRouteTable")
        assert (group["ingress"], group["egress"], acl["ingress"], acl["egress"], table["routes"]) == ([],) * 5


class TestLeastPrivilege:
    # Calls that AWS cannot bind to a resource (Service Authorization Reference), besides reads of metadata.
    READS = ("Describe", "List")
    UNBOUND = ("xray:", "logs:", "ec2:", "pricing:", "secretsmanager:GetRandomPassword", "kms:Decrypt")

    def test_no_role_may_do_everything(self, program: Recorded) -> None:
        for policy, statement in program.statements():
            if statement["Effect"] == "Allow":
                assert "*" not in statement["Action"], policy.name

    def test_whatever_can_be_bound_to_a_resource_is(self, program: Recorded) -> None:
        for policy, statement in program.statements():
            # Whoever is on call looks at everything; tests/local/cloud/test_incident_role.py holds the list.
            if statement["Action"] == list(responder.LOOKS):
                continue
            if statement["Effect"] == "Allow" and "*" in statement.get("Resource", []):
                loose = [
                    action
                    for action in statement["Action"]
                    if not action.startswith(self.UNBOUND) and not action.partition(":")[2].startswith(self.READS)
                ]
                assert not loose or statement.get("Condition"), (policy.name, loose)

    def test_every_role_names_who_may_take_it(self, program: Recorded) -> None:
        for role in program.all("aws:iam/role:Role"):
            for statement in json.loads(role["assumeRolePolicy"])["Statement"]:
                assert "*" not in str(statement["Principal"]), role.name


class TestQuotas:
    @pytest.mark.parametrize("kind", aws_facts.QUOTAS)
    def test_production_fits_into_what_aws_first_grants(self, program: Recorded, kind: str) -> None:
        found = [one for one in program.resources if one.type == kind and not one["region"]]
        quota = aws_facts.QUOTAS[kind]
        assert len(found) <= quota.limit, f"{len(found)} of {quota.limit} {quota.name}: " + (
            "ask for more" if quota.adjustable else "it cannot be raised"
        )


class TestCluster:
    def test_network_policies_are_enforced(self, program: Recorded) -> None:
        [cni] = [one for one in program.all("aws:eks/addon:Addon") if one["addonName"] == "vpc-cni"]
        assert json.loads(cni["configurationValues"])["enableNetworkPolicy"] == "true"

    def test_the_scalers_of_the_workers_were_accepted_with_their_definitions(self, program: Recorded) -> None:
        assert {one["spec"]["triggers"][0]["type"] for one in program.kubernetes("ScaledObject")} == {
            "aws-sqs-queue",
            "rabbitmq",
        }


class TestSoftwareOfOthers:
    def test_it_is_there_with_a_pod_to_lose(self, program: Recorded) -> None:
        found = {one["metadata"]["name"]: one["spec"] for one in program.kubernetes("Deployment", "StatefulSet")}
        assert {name: found[name]["replicas"] for name in ("identity", "search", "analytics")} == {
            "identity": 3,
            "search": 3,
            "analytics": 2,
        }
        budgets = {one["metadata"]["name"] for one in program.kubernetes("PodDisruptionBudget")}
        assert budgets >= {"identity", "search", "analytics"}

    def test_its_disks_are_encrypted_with_a_key_of_the_environment(self, program: Recorded) -> None:
        [kind] = program.kubernetes("StorageClass")
        assert (kind["parameters"]["type"], kind["parameters"]["encrypted"]) == ("gp3", "true")
        keys = {one.outputs["arn"]: one.name for one in program.all("aws:kms/key:Key")}
        assert keys[kind["parameters"]["kmsKeyId"]] == "cluster-addons-disks"

    def test_tokens_are_of_the_issuer_that_runs_here(self, prod: Made) -> None:
        outputs = prod.stack.outputs()
        [api] = [one for one in prod.program.kubernetes("Deployment") if one["metadata"]["name"] == "booking-api"]
        [container] = api["spec"]["template"]["spec"]["containers"]
        assert {each["name"]: each.get("value") for each in container["env"]}["OIDC_ISSUER"] == outputs["issuer"]


class TestNetwork:
    def test_tiers_do_not_overlap_and_have_a_subnet_in_each_zone(self, program: Recorded) -> None:
        subnets = program.all("aws:ec2/subnet:Subnet")
        tiers = {(one["tags"]["Tier"], one["availabilityZone"]) for one in subnets}
        assert len(tiers) == len(subnets) == 12
        networks = [ip_network(one["cidrBlock"]) for one in subnets]
        assert not any(a.overlaps(b) for a in networks for b in networks if a is not b)

    def test_endpoints_serve_this_account_alone(self, program: Recorded) -> None:
        interfaces = [
            one for one in program.all("aws:ec2/vpcEndpoint:VpcEndpoint") if one["vpcEndpointType"] == "Interface"
        ]
        assert all("aws:PrincipalAccount" in one["policy"] for one in interfaces)


class TestTheWayIn:
    def test_the_one_way_in_is_cloudfront_behind_the_firewall(self, program: Recorded) -> None:
        [distribution] = program.all("aws:cloudfront/distribution:Distribution")
        [acl] = program.all("aws:wafv2/webAcl:WebAcl")
        assert distribution["webAclId"] == acl.outputs["arn"]
        assert all(one["internal"] for one in program.all("aws:lb/loadBalancer:LoadBalancer"))

    def test_the_balancer_stands_where_there_is_no_way_out_and_away_from_pods(self, program: Recorded) -> None:
        tiers = {one.id: one["tags"]["Tier"] for one in program.all("aws:ec2/subnet:Subnet")}
        [balancer] = program.all("aws:lb/loadBalancer:LoadBalancer")
        assert {tiers[subnet] for subnet in balancer["subnets"]} == {"intra"}
        assert len(balancer["subnets"]) == 3

    def test_pods_take_requests_from_where_the_balancer_is(self, program: Recorded) -> None:
        intra = {one["cidrBlock"] for one in program.all("aws:ec2/subnet:Subnet") if one["tags"]["Tier"] == "intra"}
        [api] = [one for one in program.kubernetes("NetworkPolicy") if one["metadata"]["name"] == "booking-api"]
        assert {source["ipBlock"]["cidr"] for source in api["spec"]["ingress"][0]["from"]} == intra

    def test_nothing_of_s3_is_public(self, program: Recorded) -> None:
        blocked = {one["bucket"] for one in program.all("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")}
        assert {one.outputs["bucket"] for one in program.all("aws:s3/bucket:Bucket")} == blocked

    def test_what_serves_cloudfront_is_in_its_region(self, program: Recorded) -> None:
        [distribution] = program.all("aws:cloudfront/distribution:Distribution")
        assert ":us-east-1:" in distribution["viewerCertificate"]["acmCertificateArn"]
        metrics = [one for one in program.all("aws:cloudwatch/metricAlarm:MetricAlarm")
                   if one["namespace"] in ("AWS/CloudFront", "AWS/WAFV2")]  # fmt: skip
        assert metrics
        for one in metrics:
            assert one["region"] == "us-east-1", one.name
            assert all(":us-east-1:" in action for action in one["alarmActions"]), one.name

    def test_every_api_has_a_canary_whose_rules_have_places_of_their_own(self, program: Recorded) -> None:
        rules = [one for one in program.all("aws:lb/listenerRule:ListenerRule") if ":Canary$" in one.urn]
        assert len(rules) == 9
        assert len({one["priority"] for one in rules}) == 9
        assert len([one for one in program.kubernetes("TargetGroupBinding") if ":Canary$" in one.urn]) == 6

    def test_every_alarm_of_a_canary_leads_to_the_function_that_takes_it_back(self, program: Recorded) -> None:
        composites = {one.outputs["arn"] for one in program.all("aws:cloudwatch/compositeAlarm:CompositeAlarm")}
        patterns = [one["eventPattern"] for one in program.all("aws:cloudwatch/eventRule:EventRule")]
        watched = {arn for pattern in patterns if pattern for arn in json.loads(pattern).get("resources", ())}
        assert len(composites) == 3
        assert watched == composites


class TestLife:
    """Run last: it ends with nothing."""

    def test_production_has_hundreds_of_resources_and_all_are_made(self, prod: Made) -> None:
        assert set(prod.changes) == {"create"}
        assert prod.changes["create"] >= 300

    def test_a_second_run_changes_nothing(self, prod: Made) -> None:
        assert set(prod.stack.make(quiet)) == {"same"}

    def test_an_update_that_would_replace_what_holds_data_is_refused_before_anything_changes(self, prod: Made) -> None:
        before = prod.stack.export()
        prod.stack.settings({"network.cidr": "10.99.0.0/16"})
        with pytest.raises(guard.Refused, match=r"network-vpc \(aws:ec2/vpc:Vpc\) would be replaced because cidrBlock"):
            guard.up(prod.stack, quiet, allowed=[])
        assert prod.stack.export() == before
        prod.stack.settings({})

    def test_nothing_that_holds_data_goes_while_it_is_protected(self, prod: Made) -> None:
        with pytest.raises(Failed, match="protected"):
            prod.stack.destroy(quiet)

    def test_an_environment_that_is_no_longer_protected_leaves_nothing(self, prod: Made) -> None:
        rehearsal.unprotect(prod.stack, quiet)
        prod.stack.destroy(quiet)
        assert prod.stack.export().get("resources", []) == []
        assert rehearsal.left_over(prod.stack) == []
