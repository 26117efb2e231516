"""What the stack says of messages is what the services do."""

from components import broker_topology
from services.booking import bootstrap
from services.common.topology import main
from services.contracts import DEAD_LETTERS_EXCHANGE, EVENTS_EXCHANGE
from services.notification import domain
from services.notification.entrypoints import sync_workflows
from services.payment import refunding
from stacks.messaging import BOOKING, NOTIFICATION, PAYMENT, SET_UP
from stacks.processes import WORKFLOWS


def test_notification_listens_where_its_code_does() -> None:
    assert (NOTIFICATION.queue, tuple(NOTIFICATION.topics)) == (domain.QUEUE, domain.TOPICS)


def test_booking_and_payment_listen_where_their_code_does() -> None:
    assert (BOOKING.queue, PAYMENT.queue) == (bootstrap.QUEUE, refunding.QUEUE)


def test_exchanges_have_the_names_that_services_publish_to() -> None:
    assert (broker_topology.EVENTS, broker_topology.DEAD_LETTERS) == (EVENTS_EXCHANGE, DEAD_LETTERS_EXCHANGE)


def test_jobs_run_modules_that_exist() -> None:
    assert SET_UP[-1] == main.__module__
    assert sync_workflows.__name__ in WORKFLOWS.command("notification")
