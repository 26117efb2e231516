"""The second way to carry out a canary: Argo Rollouts moves the weights of a Gateway API route, from the same spec.

For clusters whose traffic does not come through an ALB rule of the stack. Pure functions that return the objects; the
API server's own definitions check them in the tests. Argo counts whole per cents, so it refuses a step in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.canary_spec import CANARY, STABLE, Business, CanarySpec, error_rate, shares, slowest

Object = dict[str, Any]
# Where Argo hands a route over (argoproj-labs/rollouts-plugin-trafficrouter-gatewayapi).
_PLUGIN = "argoproj-labs/gatewayAPI"
# Measurements in a row that may fail, and those without data, before a canary is taken back or stopped.
_FAILURES, _INCONCLUSIVE = 1, 3
CHOSEN = "always"
# The release that brings Prometheus (components/operators.py), as pods of other namespaces reach it.
_PROMETHEUS = "http://kube-prometheus-stack-prometheus.kube-prometheus-stack:9090"
_COMPONENT, _SECONDS = "app.kubernetes.io/component", 300


def service(spec: CanarySpec, track: str) -> str:
    """The Kubernetes Service of a track: the stable one has the service's own name."""
    return spec.service if track == STABLE else f"{spec.service}-{track}"


def strategy(spec: CanarySpec, *, namespace: str) -> Object:
    """The ``strategy`` of a Rollout in ``namespace``, where its route is, too. Raises ValueError for a step that is no
    whole per cent.
    """
    steps: list[Object] = []
    for step in spec.steps:
        if step.weight % 10:
            raise ValueError(
                f"step has weight {step.weight} thousandths; Argo Rollouts counts whole per cents: take a multiple of "
                "10, or leave the canary to the ALB rule"
            )
        steps += [{"setWeight": step.weight // 10}, {"pause": {"duration": f"{step.seconds}s"}}]
    return {
        "canary": {
            "stableService": service(spec, STABLE),
            "canaryService": service(spec, CANARY),
            # By it what people came for is counted apart for each release.
            "canaryMetadata": {"labels": {_COMPONENT: component(CANARY)}},
            "stableMetadata": {"labels": {_COMPONENT: component(STABLE)}},
            "trafficRouting": {"plugins": {_PLUGIN: {"httpRoute": spec.service, "namespace": namespace}}},
            # The first pause is over before it is judged: there is data then.
            "analysis": {"templates": [{"templateName": spec.service}], "startingStep": 2},
            "steps": steps,
            "abortScaleDownDelaySeconds": 0,
        }
    }


def analysis_template(
    spec: CanarySpec, *, namespace: str, canary: Mapping[str, str], stable: Mapping[str, str]
) -> Object:
    """Judges the canary by the same figures as the alarms; ``canary`` and ``stable`` are dimensions of target groups.

    Without requests it is inconclusive: it waits, and stops.
    """
    limits = spec.limits
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": spec.service, "namespace": namespace},
        "spec": {
            "metrics": [
                _metric("errors", limits.error_percent, error_rate(limits, canary)),
                _metric("latency", limits.p99_seconds, slowest(limits, canary, stable), silent="true"),
                *(_business_metric(spec, each) for each in spec.business),
            ]
        },
    }


def _metric(name: str, most: float, queries: list[Object], silent: str = "false") -> Object:
    """``silent`` is whether no value is a good one, as where there are too few requests for a percentile."""
    some = "len(result[0].Values) > 0"
    return {
        "name": name,
        "interval": "1m",
        "failureLimit": _FAILURES,
        "inconclusiveLimit": _INCONCLUSIVE,
        "successCondition": f"{some} ? all(result[0].Values, {{# <= {most}}}) : {silent}",
        "failureCondition": f"{some} && any(result[0].Values, {{# > {most}}})",
        "provider": {"cloudWatch": {"interval": "5m", "metricDataQueries": [_query(each) for each in queries]}},
    }


def _business_metric(spec: CanarySpec, business: Business) -> Object:
    """By how many per cent the canary is worse; of what has no canary, how many per cent are bad at all."""

    def share(track: str) -> str:
        labels = labelled(spec, track) if business.by_track else ""
        bad, of = (business.counted(which, labels, _SECONDS) for which in (business.bad, business.all))
        return f"100 * ({bad} or vector(0)) / {of}"

    query = f"{share(CANARY)} - ({share(STABLE)} or vector(0))" if business.by_track else share(CANARY)
    return {
        "name": business.name.replace(" ", "-"),
        "interval": "1m",
        "failureLimit": _FAILURES,
        # Without any there is nothing to say of them: that is no fault of the canary.
        "successCondition": f"len(result) == 0 || isNaN(result[0]) || result[0] <= {business.most_percent}",
        "failureCondition": f"len(result) > 0 && result[0] > {business.most_percent}",
        "provider": {"prometheus": {"address": _PROMETHEUS, "query": query}},
    }


def component(track: str) -> str:
    """The label app.kubernetes.io/component of a track's pods."""
    return "api" if track == STABLE else f"api-{track}"


def labelled(spec: CanarySpec, track: str) -> str:
    """How Prometheus tells the processes of a track."""
    return f'app_kubernetes_io_name="{spec.service}",app_kubernetes_io_component="{component(track)}"'


def _query(query: Object) -> Object:
    """A query of CloudWatch's in the words of Argo's definition."""
    found: Object = {"id": query["id"], "returnData": query["return_data"]}
    if "expression" in query:
        return {**found, "expression": query["expression"], "label": query["label"]}
    metric = query["metric"]
    return {
        **found,
        "metricStat": {
            "metric": {
                "namespace": metric["namespace"],
                "metricName": metric["metric_name"],
                "dimensions": [{"name": key, "value": value} for key, value in metric["dimensions"].items()],
            },
            "period": metric["period"],
            "stat": metric["stat"],
        },
    }


def http_route(spec: CanarySpec, *, namespace: str, gateway: str, prefix: str, canary: int = 0) -> Object:
    """The route of a service: who asks for the canary gets it, and of the others ``canary`` thousandths."""
    path = {"path": {"type": "PathPrefix", "value": prefix}}
    cookie = rf"(?:^|.*;\s*){spec.cookie}={CHOSEN}(?:;.*|$)"
    chosen = (
        {"name": spec.header, "type": "Exact", "value": CHOSEN},
        {"name": "Cookie", "type": "RegularExpression", "value": cookie},
    )
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": spec.service, "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": gateway}],
            "rules": [
                {
                    "matches": [{**path, "headers": [header]} for header in chosen],
                    "backendRefs": [{"name": service(spec, CANARY), "port": spec.port}],
                },
                {
                    "matches": [path],
                    "backendRefs": [
                        {"name": service(spec, track), "port": spec.port, "weight": weight}
                        for track, weight in shares(canary).items()
                    ],
                },
            ],
        },
    }
