"""What keeps ACM from renewing: the record, which is made again, and what only a person can mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbooks._kit.model import Exit
from runbooks.certificate_expiry import CertificateExpiry
from tests.runbooks.bench import TERMS, Bench
from tests.runbooks.faults.certificate_expiry import GLOBAL, Certificates


@pytest.fixture
def bench(certificates: Certificates, tmp_path: Path) -> Bench:
    return Bench(CertificateExpiry(), certificates.environment, tmp_path)


def proved(certificates: Certificates, name: str, **facts: Any) -> str:
    """A certificate whose record is as it should be; returns its domain."""
    domain = certificates.domain(name)
    record = certificates.create(domain, **facts)
    certificates.record(domain, record["Name"], record["Type"], record["Value"])
    return domain


def test_certificates_of_both_regions_are_shown_and_none_of_another_environment(
    certificates: Certificates, bench: Bench
) -> None:
    domain = certificates.domain("one")
    certificates.create(domain, region=GLOBAL, days=200)
    certificates.create(domain)
    report = bench.engine().dry_run()
    shown = [
        (each["region"], each["domain"], each["days_left"], each["renewal"]) for each in report.findings[0]["rows"]
    ]
    assert shown == [("eu-west-3", domain, 20, "PENDING_VALIDATION"), ("us-east-1", domain, 200, "PENDING_VALIDATION")]
    # One record proves the name in every Region.
    assert len(report.actions) == 1


def test_a_certificate_that_is_well_is_left(certificates: Certificates, bench: Bench) -> None:
    proved(certificates, "well", days=200, InUseBy=[])
    assert bench.engine().dry_run().actions == []
    assert bench.engine().verify().exit is Exit.DONE


def test_a_record_that_is_gone_is_made_again_long_before_the_end(certificates: Certificates, bench: Bench) -> None:
    record = certificates.create(certificates.domain("early"), days=200)
    plan = bench.planned()
    assert bench.applied(plan).exit is Exit.DONE
    assert certificates.records() == {record["Name"]: record["Value"]}
    assert bench.engine().rollback(plan, TERMS).outcome == "nothing to take back"


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"days": 2}, "make a new one"),
        ({"Status": "VALIDATION_TIMED_OUT"}, "make a new one"),
        ({"InUseBy": []}, "nothing uses it"),
    ],
)
def test_what_only_a_person_can_mend_is_said_and_fails_the_verification(
    certificates: Certificates, bench: Bench, facts: dict[str, Any], says: str
) -> None:
    proved(certificates, "ill", **facts)
    assert says in bench.engine().dry_run().findings[0]["rows"][0]["for_a_person"]
    report = bench.engine().verify()
    assert (report.exit, says in report.verified[1]["detail"]) == (Exit.FAILED, True)


def test_a_caa_record_that_leaves_amazon_out_is_said(certificates: Certificates, bench: Bench) -> None:
    domain = proved(certificates, "forbidden")
    certificates.record(domain, domain, "CAA", '0 issue "amazon.com"')
    assert bench.engine().verify().exit is Exit.DONE
    certificates.record(domain, domain, "CAA", '0 issue "letsencrypt.org"')
    assert "forbids Amazon" in bench.engine().verify().verified[1]["detail"]


def test_a_name_that_no_zone_of_ours_holds_is_for_whoever_runs_it(certificates: Certificates, bench: Bench) -> None:
    certificates.create(certificates.domain("elsewhere", zone=False))
    report = bench.engine().dry_run()
    assert report.actions == []
    assert "whoever runs it makes the record" in report.findings[0]["rows"][0]["for_a_person"]
