"""Questions and dashboards as a document: what organisers see of their own events, and the platform of itself. Pure.

It refuses what would leak: a dashboard that is shown outside and lets its reader choose whose figures it shows. Whoever
embeds one signs for whom it is; the signature locks that parameter (Metabase documentation, "Static embedding").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Database = Literal["booking", "payment", "notification"]
# Metabase's grid (its documentation, "Dashboards": 24 columns).
_COLUMNS = 24
ORGANISER = "organiser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query with a chart. ``{{name}}`` in the query is a parameter; Metabase binds it, nobody writes it into SQL."""

    name: str
    about: str
    database: Database
    query: str
    display: Literal["table", "bar", "line", "row", "scalar"]
    dimensions: Sequence[str] = ()
    metrics: Sequence[str] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the query's parameters."""
        return tuple(dict.fromkeys(re.findall(r"\{\{\s*(\w+)\s*\}\}", self.query)))

    def __post_init__(self) -> None:
        if not re.match(r"\s*(SELECT|WITH)\b", self.query) or ";" in self.query:
            raise ValueError(f"question {self.name!r} is no single SELECT; whoever runs it may read and nothing else")
        if self.display in ("bar", "line", "row") and not (self.dimensions and self.metrics):
            raise ValueError(f"question {self.name!r} is a {self.display} without dimensions or metrics; name columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """``cards`` are questions with their width in the grid, in reading order; ``embedded`` is shown outside."""

    name: str
    about: str
    cards: Sequence[tuple[Question, int]]
    embedded: bool = False
    locked: Sequence[str] = ()

    def __post_init__(self) -> None:
        if wide := [question.name for question, width in self.cards if not 1 <= width <= _COLUMNS]:
            raise ValueError(f"dashboard {self.name!r} has {', '.join(wide)} outside of its grid: 1 to {_COLUMNS} wide")
        asked = {parameter for question, _ in self.cards for parameter in question.parameters}
        if self.embedded and asked - set(self.locked):
            raise ValueError(
                f"dashboard {self.name!r} is shown outside and leaves {', '.join(sorted(asked - set(self.locked)))} to "
                "its reader, who could ask for anybody's figures: lock it"
            )
        if strange := sorted(set(self.locked) - asked):
            raise ValueError(f"dashboard {self.name!r} locks {', '.join(strange)}, which no question of it asks for")
        if self.embedded and (open_ := [question.name for question, _ in self.cards if not question.parameters]):
            raise ValueError(
                f"dashboard {self.name!r} is shown outside with {', '.join(open_)}, which is about everybody: give the "
                "query a parameter"
            )


SALES = Question(
    name="Tickets by event",
    about="Sold, held and left, of each of the organiser's events",
    database="booking",
    display="row",
    dimensions=("event",),
    metrics=("sold", "held", "left"),
    query="""SELECT e.name AS event, sum(p.sold) AS sold, sum(p.held) AS held,
       sum(p.capacity - p.sold - p.held) AS left
FROM events e JOIN pools p ON p.event_id = e.id
WHERE e.organiser_id = {{organiser}}
GROUP BY e.id, e.name, e.starts_at ORDER BY e.starts_at""",
)
TAKINGS = Question(
    name="Takings by day",
    about="Value of completed orders, in units of each currency",
    database="booking",
    display="line",
    dimensions=("day", "currency"),
    metrics=("takings",),
    query="""SELECT date_trunc('day', o.created_at) AS day, o.currency, sum(o.amount) / 100.0 AS takings
FROM orders o JOIN events e ON e.id = o.event_id
WHERE e.organiser_id = {{organiser}} AND o.status = 'completed'
GROUP BY 1, 2 ORDER BY 1""",
)
OUTCOMES = Question(
    name="Orders by outcome",
    about="How the organiser's orders ended",
    database="booking",
    display="bar",
    dimensions=("outcome",),
    metrics=("orders",),
    query="""SELECT o.status AS outcome, count(*) AS orders
FROM orders o JOIN events e ON e.id = o.event_id
WHERE e.organiser_id = {{organiser}}
GROUP BY 1 ORDER BY 2 DESC""",
)
PAYMENTS = Question(
    name="Payments by day",
    about="Of all organisers, by what became of them",
    database="payment",
    display="line",
    dimensions=("day", "status"),
    metrics=("payments",),
    query="""SELECT date_trunc('day', created_at) AS day, status, count(*) AS payments
FROM payments GROUP BY 1, 2 ORDER BY 1""",
)
MESSAGES = Question(
    name="Messages by workflow",
    about="Sent and waiting, of the last seven days",
    database="notification",
    display="table",
    query="""SELECT workflow, status, count(*) AS messages, min(created_at) AS oldest
FROM deliveries WHERE created_at > now() - interval '7 days' GROUP BY 1, 2 ORDER BY 1, 2""",
)
PARKED = Question(
    name="Orders that wait for a person",
    about="Parked by the saga: see the runbook of stuck sagas",
    database="booking",
    display="scalar",
    query="SELECT count(*) AS orders FROM orders WHERE status = 'needs_operator'",
)
DASHBOARDS = (
    Dashboard(
        name="Organiser",
        about="An organiser's own events, embedded in the organiser's pages",
        cards=((SALES, 24), (TAKINGS, 16), (OUTCOMES, 8)),
        embedded=True,
        locked=(ORGANISER,),
    ),
    Dashboard(
        name="Platform",
        about="All events, for those who run the platform",
        cards=((PARKED, 6), (PAYMENTS, 18), (MESSAGES, 24)),
    ),
)


def content(dashboards: Sequence[Dashboard] = DASHBOARDS) -> dict[str, Any]:
    """Everything that the set-up job applies: questions once each, and dashboards that refer to them by name."""
    questions = {question.name: question for dashboard in dashboards for question, _ in dashboard.cards}
    return {
        "questions": [_question(question) for question in questions.values()],
        "dashboards": [_dashboard(dashboard) for dashboard in dashboards],
    }


def _question(question: Question) -> dict[str, Any]:
    settings: Mapping[str, Any] = (
        {"graph.dimensions": list(question.dimensions), "graph.metrics": list(question.metrics)}
        if question.dimensions
        else {}
    )
    return {
        "name": question.name,
        "description": question.about,
        "database": question.database,
        "query": question.query,
        "parameters": list(question.parameters),
        "display": question.display,
        "visualization_settings": dict(settings),
    }


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "name": dashboard.name,
        "description": dashboard.about,
        "embedded": dashboard.embedded,
        "locked": list(dashboard.locked),
        "cards": [{"question": question.name, **place} for question, place in _placed(dashboard.cards)],
    }


def _placed(cards: Sequence[tuple[Question, int]]) -> list[tuple[Question, dict[str, int]]]:
    """Left to right, and a new row where the next one does not fit."""
    height, row, column = 8, 0, 0
    placed = []
    for question, width in cards:
        if column + width > _COLUMNS:
            row, column = row + height, 0
        placed.append((question, {"row": row, "col": column, "size_x": width, "size_y": height}))
        column += width
    return placed
