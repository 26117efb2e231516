"""On what terms a ticket type is sold at this moment, as SQL for whoever sells it."""

from __future__ import annotations

# Of the ticket type `t`: the first tier that has not ended.
PRICE = """(SELECT price FROM price_tiers WHERE ticket_type_id = t.id AND until > now() ORDER BY until LIMIT 1)"""
TERMS = f"""
    SELECT t.id, t.event_id, t.max_per_buyer, tier.price,
           e.status = 'published' AND now() >= t.sales_from AND now() < t.sales_until AS open
    FROM ticket_types t JOIN events e ON e.id = t.event_id CROSS JOIN LATERAL {PRICE} tier"""
