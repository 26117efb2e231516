"""A canary's rules, its weights, what ends it, and the second way to carry it out."""

import json
from dataclasses import replace
from typing import Any

import pulumi_kubernetes as k8s
import pytest
from pulumi_aws import cloudwatch, iam, lambda_, lb, ssm

from components.canary import Canary, CanaryArgs, forward
from components.canary_guard import CanaryGuard, CanaryGuardArgs
from components.canary_rollout import analysis_template, http_route, strategy
from components.canary_spec import CanarySpec, Limits, Step, error_rate, shares
from components.reach import Port, Surroundings
from tests.support.recording import CONTEXT, Recording, record

SPEC = CanarySpec(service="booking", port=8080)
LABELS = {"app.kubernetes.io/name": "booking", "app.kubernetes.io/component": "api"}
ARGS = CanaryArgs(
    spec=SPEC,
    vpc_id="vpc-1",
    listener_arn="arn:listener",
    balancer_arn_suffix="app/balancer/1",
    prefix="/api/booking",
    priority=100,
    namespace="platform",
    labels=LABELS,
    reaches=[Port.POSTGRES],
    surroundings=Surroundings(data_cidrs=["10.20.132.0/24"], balancer_cidrs=["10.20.136.0/24"]),
)
WHOLE = replace(SPEC, steps=(Step(weight=10, seconds=60), Step(weight=500, seconds=120)))


@pytest.fixture(scope="module")
def built() -> Recording:
    def program() -> None:
        canary = Canary("booking-canary", ARGS, context=CONTEXT)
        CanaryGuard("guard", CanaryGuardArgs(canaries={"booking": canary}), context=CONTEXT)

    return record(program)


def rule(built: Recording, role: str) -> dict[str, Any]:
    return dict(built.one(lb.ListenerRule, f"booking-canary-{role}").inputs)


class TestRules:
    def test_one_rule_leads_to_two_groups_with_all_on_the_stable_side_and_sticks(self, built: Recording) -> None:
        [action] = rule(built, "weighted")["actions"]
        groups = {each["arn"].rsplit(":", 1)[1]: each["weight"] for each in action["forward"]["targetGroups"]}
        assert groups == {"booking-stable": 999, "booking-canary": 0}
        assert action["forward"]["stickiness"] == {"enabled": True, "duration": 600}
        assert set(built.all(lb.TargetGroup)) == {"booking-stable", "booking-canary"}

    def test_the_program_never_looks_at_the_actions_of_that_rule_again(self, built: Recording) -> None:
        rules = built.all(lb.ListenerRule)
        assert {name: one.ignore_changes for name, one in rules.items()} == {
            "booking-canary-weighted": ("actions",),
            "booking-canary-header": (),
            "booking-canary-cookie": (),
        }

    def test_who_asks_by_header_or_cookie_gets_the_canary_before_any_weight_counts(self, built: Recording) -> None:
        header, cookie = rule(built, "header"), rule(built, "cookie")
        assert (header["priority"], cookie["priority"], rule(built, "weighted")["priority"]) == (100, 101, 102)
        for one, name, value in ((header, "X-Canary", "always"), (cookie, "Cookie", "*canary=always*")):
            assert one["conditions"][1]["httpHeader"] == {"httpHeaderName": name, "values": [value]}
            assert one["actions"][0]["targetGroupArn"].endswith("booking-canary")

    def test_a_pod_sees_the_path_without_the_name_of_its_service(self, built: Recording) -> None:
        [transform] = rule(built, "weighted")["transforms"]
        assert transform["urlRewriteConfig"]["rewrite"] == {"regex": "^/api/booking/(.*)$", "replace": "/$1"}
        assert rule(built, "weighted")["conditions"] == [{"pathPattern": {"values": ["/api/booking/*"]}}]

    @pytest.mark.parametrize(("canary", "stable"), [(0, 999), (1, 999), (500, 500), (999, 1)])
    def test_shares_are_thousandths_that_alb_takes(self, canary: int, stable: int) -> None:
        assert shares(canary) == {"stable": stable, "canary": canary}

    @pytest.mark.parametrize("canary", [-1, 1000])
    def test_a_share_that_alb_does_not_take_is_refused(self, canary: int) -> None:
        with pytest.raises(ValueError, match="ALB takes weights of 0 to 999"):
            shares(canary)

    @pytest.mark.parametrize("arns", [{"stable": "a"}, {"stable": "a", "canary": "b", "third": "c"}])
    def test_other_than_two_target_groups_are_refused(self, arns: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="exactly two"):
            forward(arns, dict.fromkeys(arns, 1), 600)

    def test_weights_of_other_groups_are_refused(self) -> None:
        with pytest.raises(ValueError, match="weights are for blue, green"):
            forward({"stable": "a", "canary": "b"}, {"blue": 1, "green": 0}, 600)

    @pytest.mark.parametrize("prefix", ["api", "/", "/api/", "/api/*", "/API"])
    def test_a_prefix_that_the_balancer_would_not_understand_is_refused(self, prefix: str) -> None:
        with pytest.raises(ValueError, match=r"prefix is .*like /api/booking"):
            replace(ARGS, prefix=prefix)

    @pytest.mark.parametrize("priority", [0, 49_999])
    def test_priorities_outside_of_those_that_there_are_are_refused(self, priority: int) -> None:
        with pytest.raises(ValueError, match=f"priority is {priority}; a canary takes 3 in a row"):
            replace(ARGS, priority=priority)


class TestSpec:
    @pytest.mark.parametrize("tracks", [(), ("stable",), ("stable", "canary", "third"), ("canary", "stable")])
    def test_other_than_the_two_tracks_are_refused(self, tracks: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match="a canary has exactly two target groups, stable and canary"):
            replace(SPEC, tracks=tracks)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"steps": ()}, "there is one at least"),
            ({"steps": (Step(weight=5, seconds=60), Step(weight=5, seconds=60))}, "each is larger than the last"),
            ({"sticky_seconds": 0}, "ALB takes 1 to 604800"),
            ({"header": "X Canary"}, "a header has letters, digits and dashes"),
            ({"cookie": "a;b"}, "cookie small ones"),
        ],
    )
    def test_a_spec_that_cannot_be_carried_out_is_refused(self, change: dict[str, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            replace(SPEC, **change)

    @pytest.mark.parametrize(("weight", "seconds"), [(0, 60), (1000, 60), (5, 59)])
    def test_a_step_of_nothing_of_all_or_of_seconds_is_refused(self, weight: int, seconds: int) -> None:
        with pytest.raises(ValueError, match="step"):
            Step(weight=weight, seconds=seconds)

    @pytest.mark.parametrize("change", [{"error_percent": 0.0}, {"p99_seconds": 0.0}, {"requests": 0}])
    def test_limits_that_judge_nothing_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="above 0"):
            replace(Limits(), **change)

    def test_too_few_requests_are_no_verdict(self) -> None:
        assert error_rate(Limits(requests=7), {})[0]["expression"].startswith("IF(requests >= 7, ")


class TestKubernetes:
    def test_each_group_is_bound_to_the_service_of_its_track(self, built: Recording) -> None:
        bindings = {
            one.inputs["spec"]["serviceRef"]["name"]: one.inputs
            for one in built.resources
            if one.inputs.get("kind") == "TargetGroupBinding"
        }
        assert set(bindings) == {"booking", "booking-canary"}
        for name, one in bindings.items():
            track = "canary" if name.endswith("-canary") else "stable"
            assert one["apiVersion"] == "elbv2.k8s.aws/v1beta1"
            assert one["spec"]["targetGroupARN"].endswith(f"booking-{track}")

    def test_pods_of_a_canary_are_told_apart_from_the_stable_ones_and_may_reach_the_same(
        self, built: Recording
    ) -> None:
        selector = built.one(k8s.core.v1.Service, "booking-canary").inputs["spec"]["selector"]
        assert selector == {**LABELS, "app.kubernetes.io/component": "api-canary"}
        policy = built.one(k8s.networking.v1.NetworkPolicy, "booking-canary-reach").inputs["spec"]
        assert policy["podSelector"]["matchLabels"] == selector
        assert policy["ingress"][0]["from"] == [{"ipBlock": {"cidr": "10.20.136.0/24"}}]


class TestWhatEndsIt:
    def test_any_alarm_on_the_canary_fires_the_one_that_calls_the_function(self, built: Recording) -> None:
        composite = built.one(cloudwatch.CompositeAlarm, "booking-canary").inputs
        assert composite["alarmRule"] == (
            'ALARM("booking-canary-errors") OR ALARM("booking-canary-slow") OR ALARM("booking-canary-unhealthy")'
        )
        pattern = json.loads(built.one(cloudwatch.EventRule, "guard-booking").inputs["eventPattern"])
        assert pattern["detail"] == {"state": {"value": ["ALARM"]}}
        assert pattern["resources"][0].endswith("booking-canary")

    def test_the_alarm_on_errors_looks_at_the_canary_alone(self, built: Recording) -> None:
        queries = built.one(cloudwatch.MetricAlarm, "booking-canary-errors").inputs["metricQueries"]
        assert {each["metric"]["dimensions"]["LoadBalancer"] for each in queries if "metric" in each} == {
            "app/balancer/1"
        }

    def test_slowness_ends_a_canary_only_while_the_stable_release_is_not_as_slow(self, built: Recording) -> None:
        queries = built.one(cloudwatch.MetricAlarm, "booking-canary-slow").inputs["metricQueries"]
        measured = {each["id"]: each["metric"] for each in queries if "metric" in each}
        assert {id: each["stat"] for id, each in measured.items()} == {
            "canary": "p99",
            "stable": "p99",
            "requests": "Sum",
        }
        groups = {id: each["dimensions"]["TargetGroup"] for id, each in measured.items()}
        assert groups["canary"] == groups["requests"] != groups["stable"]

    def test_every_minute_leases_are_looked_at(self, built: Recording) -> None:
        assert built.one(cloudwatch.EventRule, "guard-leases").inputs["scheduleExpression"] == "rate(1 minute)"
        event = json.loads(built.one(cloudwatch.EventTarget, "guard-leases").inputs["input"])
        assert event["why"] == "lease"
        [canary] = event["canaries"]
        assert canary["lease"] == "/dev/booking-canary/lease"
        assert canary["stable"].endswith("booking-stable")

    def test_a_lease_belongs_to_who_runs_the_canary_and_there_is_none_at_first(self, built: Recording) -> None:
        lease = built.one(ssm.Parameter, "booking-canary")
        assert lease.ignore_changes == ("value",)
        # The SDK keeps a parameter's value as a secret.
        assert "ended" in str(lease.inputs["value"])
        assert "expires" not in str(lease.inputs["value"])

    def test_the_function_changes_the_rule_and_the_lease_of_canaries_and_nothing_else(self, built: Recording) -> None:
        statements = built.statements(built.one(iam.RolePolicy, "guard-rollback"))
        allowed = {each["Action"][0]: each["Resource"] for each in statements}
        assert allowed["elasticloadbalancing:ModifyRule"] == [
            built.one(cloudwatch.EventTarget, "guard-leases").json("input")["canaries"][0]["rule"]
        ]
        assert allowed["ssm:GetParameter"] == ["arn:aws:ssm:eu-west-3:123456789012:parameter/dev/booking-canary/lease"]

    def test_only_those_two_rules_may_call_it(self, built: Recording) -> None:
        sources = {one.inputs["sourceArn"].rsplit(":", 1)[1] for one in built.all(lambda_.Permission).values()}
        assert sources == {"guard-booking", "guard-leases"}

    def test_a_guard_without_canaries_is_refused(self) -> None:
        with pytest.raises(ValueError, match="canaries are 0; one event of EventBridge describes 1 to 20"):
            CanaryGuardArgs(canaries={})


class TestTheSecondWay:
    def test_the_steps_are_the_same_in_per_cent(self) -> None:
        canary = strategy(WHOLE, namespace="platform")["canary"]
        assert canary["steps"] == [
            {"setWeight": 1},
            {"pause": {"duration": "60s"}},
            {"setWeight": 50},
            {"pause": {"duration": "120s"}},
        ]
        assert (canary["stableService"], canary["canaryService"]) == ("booking", "booking-canary")

    def test_a_step_that_is_no_whole_per_cent_is_refused(self) -> None:
        with pytest.raises(ValueError, match="step has weight 1 thousandths; Argo Rollouts counts whole per cents"):
            strategy(SPEC, namespace="platform")

    def test_without_data_a_verdict_is_neither_good_nor_bad(self) -> None:
        template = analysis_template(
            WHOLE, namespace="platform", canary={"TargetGroup": "c"}, stable={"TargetGroup": "s"}
        )
        for metric in template["spec"]["metrics"]:
            assert metric["failureCondition"].startswith("len(result[0].Values) > 0 && ")
            assert metric["inconclusiveLimit"] > 0
        silent = {each["name"]: each["successCondition"].rpartition(" : ")[2] for each in template["spec"]["metrics"]}
        # Of too few requests there is no percentile, and that there are enough is said of the errors.
        assert silent == {"errors": "false", "latency": "true"}

    def test_the_route_serves_who_asks_for_the_canary_first_and_weighs_the_others(self) -> None:
        chosen, everybody = http_route(WHOLE, namespace="platform", gateway="edge", prefix="/api/booking", canary=50)[
            "spec"
        ]["rules"]
        assert [match["headers"][0]["name"] for match in chosen["matches"]] == ["X-Canary", "Cookie"]
        assert [each["name"] for each in chosen["backendRefs"]] == ["booking-canary"]
        assert {each["name"]: each["weight"] for each in everybody["backendRefs"]} == {
            "booking": 950,
            "booking-canary": 50,
        }
