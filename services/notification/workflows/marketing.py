"""What nobody has to read, so it is sent to those alone who asked for it, last, and at most once a day."""

from __future__ import annotations

from datetime import timedelta

from services.notification.workflows.model import Category, Channel, Workflow

DIGEST = Workflow(
    name="marketing-digest",
    title="Events that may interest you",
    event=None,
    category=Category.MARKETING,
    channels=(Channel.EMAIL, Channel.PUSH),
    needs=("eventId",),
    digest=timedelta(days=1),
)
