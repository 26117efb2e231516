"""What a stack file may say, and what it is told when it says something else."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import aws_facts
from stacks.settings import PROJECT, InvalidSettings, from_config, from_file, from_mapping

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.name for path in ROOT.glob("Pulumi.*.yaml"))


def config(name: str = "Pulumi.prod.yaml") -> dict[str, Any]:
    """The project's keys of a stack file, without their prefix."""
    found = yaml.safe_load((ROOT / name).read_text())["config"]
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in found.items() if key.startswith(PROJECT)}


def refused(values: dict[str, Any]) -> str:
    """The message with which settings are refused."""
    with pytest.raises(InvalidSettings) as error:
        from_mapping(values, "Pulumi.prod.yaml")
    return str(error.value)


@pytest.mark.parametrize("name", STACKS)
def test_every_stack_file_of_the_repository_is_valid(name: str) -> None:
    assert f"Pulumi.{from_file((ROOT / name).read_text(), name).environment}.yaml" == name


def test_dev_and_prod_have_the_same_keys() -> None:
    def keys(value: Any) -> Any:
        return {key: keys(inner) for key, inner in value.items()} if isinstance(value, dict) else None

    assert keys(config("Pulumi.dev.yaml")) == keys(config("Pulumi.prod.yaml")) == keys(config("Pulumi.local.yaml"))


@pytest.mark.parametrize("name", STACKS)
def test_no_stack_file_holds_a_secret(name: str) -> None:
    assert "secure:" not in (ROOT / name).read_text()


def test_the_engines_configuration_reads_like_the_file() -> None:
    as_engine = {
        f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in config().items()
    }
    assert from_config({**as_engine, "aws:region": "eu-west-3"}, "prod") == from_mapping(config(), "prod")


def test_a_mistyped_key_is_named_with_the_one_that_was_meant() -> None:
    values = config()
    values["network"]["ciddr"] = values["network"].pop("cidr")
    message = refused(values)
    assert "event-platform:network.ciddr is not a setting; did you mean 'cidr'?" in message
    assert "event-platform:network.cidr is missing" in message


def test_an_unknown_group_is_refused() -> None:
    assert "event-platform:netwrk is not a setting; did you mean 'network'?" in refused({**config(), "netwrk": {}})


def test_a_value_of_the_wrong_type_is_named_with_its_path() -> None:
    values = config()
    values["database"]["backup_days"] = "many"
    assert "event-platform:database.backup_days is 'many'" in refused(values)


def test_an_impossible_network_is_refused_with_value_rule_and_remedy() -> None:
    values = config()
    values["network"]["cidr"] = "10.10.0.0/24"
    message = refused(values)
    assert "'10.10.0.0/24'" in message
    assert "four tiers need /16 to /20" in message
    assert "take 10.20.0.0/16" in message


def test_a_service_that_is_left_out_is_named() -> None:
    values = config()
    del values["services"]["payment"]
    assert "services lacks payment" in refused(values)


PRODUCTION_INVARIANTS = [
    ("network", "nat", "single", "it needs per-zone"),
    ("network", "zones", ["eu-west-3a", "eu-west-3b"], "it needs 3"),
    ("database", "multi_az", False, "standby in another zone"),
    ("database", "backup_days", 3, "it needs 7"),
    ("broker", "deployment", "SINGLE_INSTANCE", "it needs CLUSTER_MULTI_AZ"),
    ("cache.admission", "nodes", 1, "it needs a replica"),
    ("cache.reads", "nodes", 1, "it needs a replica"),
    ("cache.admission", "snapshot_days", 0, "it keeps snapshots"),
    ("cluster", "public_access_cidrs", ["192.0.2.0/24"], "its API is private"),
    ("edge.firewall", "enforced", ["blocked-addresses"], "on-call could refuse nobody"),
    (None, "log_retention_days", 7, "it keeps 90"),
    ("guardrails", "backup_days", 7, "it keeps daily backups for 35"),
    ("applications.identity", "replicas", 1, "applications.identity.replicas is 1, it needs 2"),
    ("applications.search", "replicas", 1, "applications.search.replicas is 1, it needs 3"),
    ("applications.analytics", "replicas", 1, "applications.analytics.replicas is 1, it needs 2"),
    ("applications.search", "configure", False, "it needs what its document says"),
    ("applications.identity.database", "multi_az", False, "applications.identity.database.multi_az is false"),
    ("applications.analytics.database", "backup_days", 1, "applications.analytics.database.backup_days is 1"),
    ("applications.identity", "url", "https://elsewhere.example.com", "people sign in at https://tickets.example.com"),
    ("outside", "issuer", "https://elsewhere.example.com", "it needs its own: https://tickets.example.com/realms"),
]


def at(values: dict[str, Any], group: str | None) -> dict[str, Any]:
    """The settings below a path."""
    for part in group.split(".") if group else ():
        values = values[part]
    return values


@pytest.mark.parametrize(
    ("group", "key", "value", "rule"),
    [
        ("database", "version", "12", "PostgreSQL version '12' is not offered here; choose from 15, 16, 17"),
        ("database", "version", "12 -> 17", "cannot be upgraded from 12 to 17 in one step: go through 13 or 14"),
        ("broker", "version", "3.13 -> 4.2", "make a new one beside it and move the data"),
        ("cluster", "version", "1.33 -> 1.35", "go through 1.34 first"),
        ("cache", "version", "eight", "write the version, like '8.1'"),
        ("edge", "domain", "*.example.com", "the name of one host"),
        ("edge.firewall", "enforced", ["rate-queu"], "enforced has rate-queu; the rules are allowed-addresses"),
        ("edge.firewall", "profile", "christmas", "'everyday' or 'on-sale'"),
        (None, "recovery_region", "mars-1", "recovery_region is 'mars-1'; choose from eu-west-1"),
    ],
)
def test_what_aws_does_not_offer_is_refused_with_what_it_does(
    group: str | None, key: str, value: str, rule: str
) -> None:
    values = config()
    at(values, group)[key] = value
    assert rule in refused(values)


@pytest.mark.parametrize(
    ("group", "value"), [("database", "16 -> 17"), ("cluster", "1.34 -> 1.35"), ("cache", "7.2 -> 8.1")]
)
def test_an_upgrade_in_one_step_is_allowed(group: str, value: str) -> None:
    values = config()
    values[group]["version"] = value
    from_mapping(values, "prod")


@pytest.mark.parametrize(("group", "key", "value", "rule"), PRODUCTION_INVARIANTS)
def test_production_refuses_what_would_not_survive(group: str | None, key: str, value: Any, rule: str) -> None:
    values = config()
    at(values, group)[key] = value
    message = refused(values)
    assert rule in message
    assert "event-platform:production is true" in message


def test_production_refuses_a_single_replica() -> None:
    values = config()
    values["services"]["booking"]["replicas"] = 1
    assert "needs 2 or more" in refused(values)


@pytest.mark.parametrize(("group", "key", "value", "rule"), PRODUCTION_INVARIANTS)
def test_elsewhere_the_same_is_allowed(group: str | None, key: str, value: Any, rule: str) -> None:
    values = {**config(), "production": False}
    at(values, group)[key] = value
    from_mapping(values, "dev")


@pytest.mark.parametrize("name", STACKS)
def test_every_version_in_use_is_under_standard_support(name: str) -> None:
    settings = from_file((ROOT / name).read_text(), name)
    for engine, text in (
        (aws_facts.KUBERNETES, settings.cluster.version),
        (aws_facts.POSTGRESQL, settings.database.version),
        (aws_facts.RABBITMQ, settings.broker.version),
        (aws_facts.VALKEY, settings.cache.version),
    ):
        ends = engine.releases[engine.version(text).wanted].standard_support_until
        assert ends is None or ends > aws_facts.CHECKED, f"{engine.name} {text}: support ended on {ends}"
