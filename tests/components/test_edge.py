"""What stands between a visitor and a pod: names, certificates, caches and origins."""

from dataclasses import replace
from typing import Any

import pytest
from pulumi_aws import acm, cloudfront, cloudwatch, ec2, iam, lb, route53, s3

from components.certificate import Certificate, CertificateArgs
from components.edge import Edge, EdgeArgs
from components.edge_behaviours import ALL, READS
from components.edge_policies import content_security_policy, security_headers
from components.hosted_zone import HostedZone
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.route import Route, RouteArgs
from components.static_site import StaticSite, written_once
from tests.support.recording import CONTEXT, PLACE, Recorded, Recording, record

DOMAIN = "tickets.example.com"
ARGS = EdgeArgs(
    domain=DOMAIN,
    zone_id="Z1",
    certificate_arn="arn:certificate",
    firewall_arn="arn:firewall",
    balancer_arn="arn:balancer",
    balancer_dns_name="internal-balancer.example",
    service_paths=["/api/*"],
    identity_paths=["/realms/*"],
    shared_paths=["/api/booking/events/*"],
    connects=["https://identity.example.com"],
)
BALANCER = LoadBalancerArgs(
    vpc_id="vpc-1",
    subnet_ids=["subnet-1", "subnet-2"],
    certificate_arn="arn:certificate",
    callers="pl-1",
    pods="sg-pods",
    pod_port=8080,
)


@pytest.fixture(scope="module")
def built() -> Recording:
    def program() -> None:
        Edge("edge", ARGS, site=StaticSite("site", context=CONTEXT), context=CONTEXT)

    return record(program)


@pytest.fixture(scope="module")
def distribution(built: Recording) -> dict[str, Any]:
    return dict(built.one(cloudfront.Distribution, "edge").inputs)


@pytest.fixture(scope="module")
def balanced() -> Recording:
    return record(lambda: LoadBalancer("balancer", BALANCER, context=CONTEXT))


def behaviours(distribution: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By path; the default's is a star."""
    ordered = {each["pathPattern"]: each for each in distribution["orderedCacheBehaviors"]}
    return {**ordered, "*": distribution["defaultCacheBehavior"]}


class TestTheDistribution:
    def test_it_speaks_current_tls_http_3_and_ipv6_under_its_own_name_behind_the_firewall(
        self, distribution: dict[str, Any]
    ) -> None:
        assert distribution["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
        assert distribution["viewerCertificate"]["sslSupportMethod"] == "sni-only"
        assert distribution["httpVersion"] == "http2and3"
        assert distribution["isIpv6Enabled"] is True
        assert distribution["aliases"] == [DOMAIN]
        assert distribution["webAclId"] == "arn:firewall"

    def test_nobody_is_answered_without_tls(self, distribution: dict[str, Any]) -> None:
        assert {each["viewerProtocolPolicy"] for each in behaviours(distribution).values()} == {"redirect-to-https"}

    def test_no_error_of_any_origin_is_turned_into_a_page(self, distribution: dict[str, Any]) -> None:
        assert "customErrorResponses" not in distribution

    def test_services_take_every_method_and_are_not_cached_and_the_site_is_only_read(
        self, distribution: dict[str, Any]
    ) -> None:
        found = behaviours(distribution)
        assert found["/api/*"]["allowedMethods"] == list(ALL)
        assert found["/api/*"]["cachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
        assert found["*"]["allowedMethods"] == found["/releases/*"]["allowedMethods"] == list(READS)

    def test_public_reads_are_tried_before_the_rest_of_the_services(self, distribution: dict[str, Any]) -> None:
        assert list(behaviours(distribution)) == ["/releases/*", "/api/booking/events/*", "/api/*", "/realms/*", "*"]

    def test_only_pages_go_through_the_function_files_of_a_release_are_found_directly(
        self, distribution: dict[str, Any]
    ) -> None:
        found = behaviours(distribution)
        assert [each["eventType"] for each in found["*"]["functionAssociations"]] == ["viewer-request"]
        assert "functionAssociations" not in found["/releases/*"]

    def test_the_site_is_read_with_signed_requests_from_here_and_when_that_fails_from_abroad(
        self, distribution: dict[str, Any], built: Recording
    ) -> None:
        [group] = distribution["originGroups"]
        assert [each["originId"] for each in group["members"]] == ["home", "copy"]
        assert group["failoverCriteria"]["statusCodes"] == [500, 502, 503, 504]
        access = built.one(cloudfront.OriginAccessControl, "edge-static").inputs
        assert (access["signingBehavior"], access["signingProtocol"]) == ("always", "sigv4")
        static = [each for each in distribution["origins"] if each["originId"] in ("home", "copy")]
        assert all(each["originAccessControlId"] for each in static)

    def test_the_balancer_is_reached_by_a_private_connection_with_tls(self, built: Recording) -> None:
        config = built.one(cloudfront.VpcOrigin, "edge-application").inputs["vpcOriginEndpointConfig"]
        assert (config["arn"], config["originProtocolPolicy"]) == ("arn:balancer", "https-only")
        assert config["originSslProtocols"]["items"] == ["TLSv1.2"]

    def test_both_families_of_addresses_lead_to_it(self, built: Recording) -> None:
        records = built.all(route53.Record).values()
        assert {(one.inputs["type"], one.inputs["name"]) for one in records} == {("A", DOMAIN), ("AAAA", DOMAIN)}

    def test_its_log_is_encrypted_abroad_and_leaves_out_cookies_and_query_strings(self, built: Recording) -> None:
        assert built.one(cloudwatch.LogGroup, "edge-log").inputs["kmsKeyId"]
        delivery = built.one(cloudwatch.LogDelivery, "edge-log").inputs
        assert delivery["region"] == "us-east-1"
        assert not {"cs(Cookie)", "cs-uri-query"} & set(delivery["recordFields"])

    def test_errors_and_a_failing_function_wake_somebody(self, built: Recording) -> None:
        alarms = built.all(cloudwatch.MetricAlarm)
        assert set(alarms) == {"edge-errors", "edge-function"}
        assert {one.inputs["region"] for one in alarms.values()} == {"us-east-1"}

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"domain": "*.example.com"}, "the name of one host"),
            ({"service_paths": ["api/*"]}, r"paths have api/\*; each starts with a slash"),
            ({"service_paths": ["/releases/x"]}, "leaves /releases/ to the static site"),
            ({"shared_paths": ["/api/*"]}, "name each once"),
            ({"service_paths": [f"/{n}/*" for n in range(80)]}, "CloudFront has 75 behaviours"),
        ],
    )
    def test_what_could_not_work_is_refused(self, change: dict[str, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            replace(ARGS, **change)


class TestPolicies:
    @pytest.mark.parametrize("role", ["pages", "releases", "shared", "private"])
    def test_every_answer_has_the_headers_that_protect_a_browser(self, built: Recording, role: str) -> None:
        found = built.one(cloudfront.ResponseHeadersPolicy, f"edge-{role}").inputs["securityHeadersConfig"]
        assert found["strictTransportSecurity"]["accessControlMaxAgeSec"] >= 31_536_000
        assert found["frameOptions"]["frameOption"] == "DENY"
        assert found["referrerPolicy"]["referrerPolicy"] == "strict-origin-when-cross-origin"
        assert found["contentTypeOptions"]["override"] is True
        assert "frame-ancestors 'none'" in found["contentSecurityPolicy"]["contentSecurityPolicy"]
        assert all(each["override"] for each in found.values())

    def test_a_page_calls_its_own_host_stripe_and_the_issuer_and_runs_nothing_inline(self) -> None:
        policy = content_security_policy(["https://identity.example.com"])
        assert "connect-src 'self' https://api.stripe.com https://identity.example.com" in policy
        assert "unsafe" not in policy

    def test_releases_are_kept_for_ever_and_pages_asked_for_each_time(self, built: Recording) -> None:
        def kept(role: str) -> str:
            items = built.one(cloudfront.ResponseHeadersPolicy, f"edge-{role}").inputs["customHeadersConfig"]["items"]
            return str(items[0]["value"])

        assert kept("releases").endswith("immutable")
        assert kept("pages") == "no-cache"

    def test_an_answer_for_everybody_carries_nobodys_cookie(self, built: Recording) -> None:
        policy = built.one(cloudfront.ResponseHeadersPolicy, "edge-shared").inputs
        assert policy["removeHeadersConfig"]["items"] == [{"header": "Set-Cookie"}]
        request = built.one(cloudfront.OriginRequestPolicy, "edge-shared").inputs
        assert request["cookiesConfig"]["cookieBehavior"] == "none"
        assert "Authorization" not in request["headersConfig"]["headers"]["items"]

    def test_services_see_who_asks_and_which_side_of_a_canary_they_are_on(self, built: Recording) -> None:
        request = built.one(cloudfront.OriginRequestPolicy, "edge-private").inputs
        assert request["headersConfig"]["headerBehavior"] == "allViewer"
        assert {"AWSALBTG", "canary"} <= set(request["cookiesConfig"]["cookies"]["items"])


class TestTheStaticSite:
    def policy(self, built: Recording, role: str) -> list[dict[str, Any]]:
        return built.statements(built.one(s3.BucketPolicy, f"site-{role}"))

    @pytest.mark.parametrize("role", ["home", "copy"])
    def test_only_the_distribution_reads_and_only_releases(self, built: Recording, role: str) -> None:
        allowed = [each for each in self.policy(built, role) if each["Effect"] == "Allow"]
        assert {each["Principal"]["Service"] for each in allowed} == {"cloudfront.amazonaws.com"}
        assert all("distribution" in each["Condition"]["StringEquals"]["aws:SourceArn"] or
                   "edge" in each["Condition"]["StringEquals"]["aws:SourceArn"] for each in allowed)  # fmt: skip
        assert allowed[0]["Resource"][0].endswith("/releases/*")

    def test_a_file_of_a_release_is_never_replaced(self) -> None:
        statement = written_once("arn:bucket")
        assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", ["s3:PutObject"])
        assert statement["Condition"]["Null"] == {"s3:if-none-match": "true"}

    def test_both_buckets_are_private_versioned_and_under_a_key_of_their_own(self, built: Recording) -> None:
        blocks = built.all(s3.BucketPublicAccessBlock)
        assert all(one.inputs["restrictPublicBuckets"] and one.inputs["blockPublicPolicy"] for one in blocks.values())
        keys = {
            one.inputs["rules"][0]["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
            for one in built.all(s3.BucketServerSideEncryptionConfiguration).values()
        }
        assert len(keys) == len(blocks) == len(built.all(s3.BucketVersioning)) == 2

    def test_the_copy_is_in_the_recovery_region_and_kept_up_to_date(self, built: Recording) -> None:
        assert built.one(s3.Bucket, "site-copy").inputs["region"] == "eu-west-1"
        [rule] = built.one(s3.BucketReplicationConfig, "site-copying").inputs["rules"]
        assert rule["filter"] == {"prefix": "releases/"}
        assert rule["destination"]["encryptionConfiguration"]["replicaKmsKeyId"]
        assert all("*" not in each["Action"] for each in built.statements(built.one(iam.RolePolicy, "site-copying")))

    def test_the_function_knows_the_pointer_and_the_stack_sets_no_release(self, built: Recording) -> None:
        function = built.one(cloudfront.Function, "site").inputs
        assert function["runtime"] == "cloudfront-js-2.0"
        assert len(function["keyValueStoreAssociations"]) == 1
        assert len(function["code"].encode()) < 10_240
        assert not built.all(cloudfront.KeyvaluestoreKey)


class TestCertificates:
    def built(self) -> Recording:
        args = CertificateArgs(domain=DOMAIN, zone_id="Z1", regions=(("us-east-1", CONTEXT), (None, CONTEXT)))
        return record(lambda: Certificate("certificate", args, context=CONTEXT))

    def test_each_region_has_one_and_one_record_proves_both(self) -> None:
        found = self.built()
        assert {one.inputs.get("region") for one in found.all(acm.Certificate).values()} == {"us-east-1", None}
        assert {one.inputs["validationMethod"] for one in found.all(acm.Certificate).values()} == {"DNS"}
        assert len(found.all(acm.CertificateValidation)) == 2
        assert len(found.all(route53.Record)) == 1

    def test_one_that_is_not_renewed_is_told_a_month_before_it_ends(self) -> None:
        for one in self.built().all(cloudwatch.MetricAlarm).values():
            assert (one.inputs["threshold"], one.inputs["comparisonOperator"]) == (30, "LessThanThreshold")
            assert one.inputs["tags"]["Runbook"] == "certificate_expiry"

    @pytest.mark.parametrize(
        "domain", ["*.example.com", "example", "Tickets.example.com", "-a.example.com", "a..b", ""]
    )
    def test_a_name_that_is_no_host_is_refused(self, domain: str) -> None:
        with pytest.raises(ValueError, match="must be the name of one host"):
            CertificateArgs(domain=domain, zone_id="Z1", regions=())

    def test_the_zone_lets_amazon_alone_issue(self) -> None:
        found = record(lambda: HostedZone("names", DOMAIN, context=CONTEXT))
        assert found.one(route53.Record, "names").inputs["records"] == ['0 issue "amazon.com"']


class TestTheLoadBalancer:
    def one(self, balanced: Recording) -> Recorded:
        return balanced.one(lb.LoadBalancer, "balancer")

    def test_it_is_internal_and_takes_no_malformed_request(self, balanced: Recording) -> None:
        inputs = self.one(balanced).inputs
        assert inputs["internal"] is True
        assert inputs["dropInvalidHeaderFields"] is True
        assert inputs["desyncMitigationMode"] == "strictest"

    def test_only_cloudfront_may_call_it_and_it_may_call_pods_alone(self, balanced: Recording) -> None:
        group = balanced.one(ec2.SecurityGroup, "balancer").inputs
        [caller], [pods] = group["ingress"], group["egress"]
        assert (caller["prefixListIds"], caller["fromPort"], caller.get("cidrBlocks")) == (["pl-1"], 443, None)
        assert (pods["securityGroups"], pods["fromPort"], pods.get("cidrBlocks")) == (["sg-pods"], 8080, None)
        rule = balanced.one(ec2.SecurityGroupRule, "balancer-pods").inputs
        assert (rule["securityGroupId"], rule["toPort"]) == ("sg-pods", 8080)

    def test_what_no_service_takes_is_not_found(self, balanced: Recording) -> None:
        listener = balanced.one(lb.Listener, "balancer").inputs
        assert listener["defaultActions"][0]["fixedResponse"]["statusCode"] == "404"
        assert (listener["protocol"], listener["port"]) == ("HTTPS", 443)
        assert "TLS13" in listener["sslPolicy"]

    def test_its_logs_are_private_go_with_the_environments_others_and_only_elb_writes_them(
        self, balanced: Recording
    ) -> None:
        assert self.one(balanced).inputs["accessLogs"]["enabled"] is True
        statements = balanced.statements(balanced.one(s3.BucketPolicy, "balancer-logs"))
        writers = [each for each in statements if each["Effect"] == "Allow"]
        assert [each["Principal"]["Service"] for each in writers] == ["logdelivery.elasticloadbalancing.amazonaws.com"]
        assert writers[0]["Resource"][0].endswith(f"/AWSLogs/{PLACE.account_id}/*")
        [rule] = balanced.one(s3.BucketLifecycleConfiguration, "balancer-logs").inputs["rules"]
        assert rule["expiration"] == {"days": CONTEXT.log_retention_days}

    def test_a_protected_environment_keeps_it(self) -> None:
        context = replace(CONTEXT, protected=True)
        found = record(lambda: LoadBalancer("balancer", BALANCER, context=context))
        one = self.one(found)
        assert one.protect
        assert one.inputs["enableDeletionProtection"] is True

    def test_one_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="subnet_ids are 1; a load balancer needs two"):
            replace(BALANCER, subnet_ids=["subnet-1"])


class TestWherePeopleSignIn:
    ARGS = RouteArgs(
        paths=["/realms/*", "/resources/*"],
        priority=50,
        service="identity",
        port=8080,
        alive="/realms/platform",
        namespace="platform",
        vpc_id="vpc-1",
        listener_arn="listener",
    )

    def test_its_paths_and_no_others_lead_there(self) -> None:
        made = record(lambda: Route("sign-in", self.ARGS, context=CONTEXT))
        rule = made.one(lb.ListenerRule, "sign-in")
        assert rule.inputs["conditions"] == [{"pathPattern": {"values": ["/realms/*", "/resources/*"]}}]
        [binding] = [one for one in made.resources if one.type.endswith(":TargetGroupBinding")]
        assert binding.inputs["spec"]["serviceRef"] == {"name": "identity", "port": 8080}

    @pytest.mark.parametrize("path", ["/", "/*", "admin"])
    def test_a_path_that_leads_everything_there_is_refused(self, path: str) -> None:
        with pytest.raises(ValueError, match="would lead everything to identity"):
            replace(self.ARGS, paths=[path])

    @pytest.mark.parametrize("paths", [[], [f"/{number}/*" for number in range(6)]])
    def test_more_paths_than_a_rule_takes_are_refused(self, paths: list[str]) -> None:
        with pytest.raises(ValueError, match="takes 1 to 5"):
            replace(self.ARGS, paths=paths)

    def test_pages_of_identity_say_themselves_what_a_browser_may_do_but_never_without_tls(self) -> None:
        headers = security_headers(None)
        assert "content_security_policy" not in headers
        assert headers["strict_transport_security"]["override"]
