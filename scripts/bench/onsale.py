"""The moment a sale opens: 5,000 buyers for 500 places, until every one of them has an answer.

It measures nothing unless exactly 500 are sold and everybody else is told so: any other answer ends it.
"""

from __future__ import annotations

from collections.abc import Callable

from scripts.bench import booking, pgbench
from scripts.bench.booking import AT_A_TIME, Refused
from scripts.bench.report import Comparison, Sample, Series, interleaved

NAME = "onsale"
_BUYERS, _PLACES = 5_000, 500


def measure(say: Callable[[str], None], *, quick: bool) -> list[Comparison]:
    """Answers per second, against as many naive holds. Raises Refused, NotReady, MissingProgram, Unreadable."""
    with booking.served(say) as made:
        say(f"signing in {_BUYERS} buyers")
        tokens = made.tokens(_BUYERS)
        endless = made.on_sale(2**31 - 1)
        made.load(endless, tokens, "--most=500")

        def sale() -> float:
            ticket_type = made.on_sale(_PLACES)
            found = made.load(ticket_type, tokens, f"--most={_BUYERS}", "--seconds=120")
            if found.statuses != {"201": _PLACES, "409": _BUYERS - _PLACES}:
                raise Refused(
                    f"{_BUYERS} buyers of {_PLACES} places got {found.statuses} (status: times); "
                    f"it must be {_PLACES} times 201 and 409 for the others"
                )
            return _BUYERS / found.seconds

        def naive() -> float:
            each = 8 if quick else _BUYERS // AT_A_TIME
            return pgbench.run(made.url, made.ca, endless, clients=AT_A_TIME, each=each).rate

        arms: dict[str, Sample] = {"pgbench": naive, "the sale": sale}
        taken = interleaved(arms, 1 if quick else 3, say)
    what = f"{_BUYERS} buyers, {_PLACES} places, exactly {_PLACES} sold and no error; {AT_A_TIME} at a time"
    sold = Series("on-sale", what, taken["the sale"])
    floor = Series("pgbench", "as many naive holds of a pool that does not sell out", taken["pgbench"])
    return [Comparison(sold, floor, "answers/s", "higher")]
