"""What can be searched, as documents of Typesense: collections with their fields, and synonyms. Pure.

It refuses what Typesense would refuse half way, and what it would take and nobody wants: a type that there is not, an
order by a field that some documents lack, synonyms of one word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Typesense documentation, "Collections", "Indexed field types".
_TYPES = ("string", "int32", "int64", "float", "bool", "geopoint", "object", "auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a collection. ``facet`` can be counted and filtered by value, ``infix`` is found by its middle.

    One that is added to a collection later has to be ``optional``: documents that are there already lack it.
    """

    name: str
    type: str
    facet: bool = False
    infix: bool = False
    optional: bool = False

    def __post_init__(self) -> None:
        if self.type.removesuffix("[]") not in _TYPES:
            raise ValueError(
                f"{self.name} is of type {self.type!r}; Typesense has {', '.join(_TYPES)}, and lists of each, like "
                "string[]"
            )

    def document(self) -> dict[str, Any]:
        """As Typesense shows it: what is not said is not in it."""
        said = {"facet": self.facet, "infix": self.infix, "optional": self.optional}
        return {"name": self.name, "type": self.type, **{key: True for key, is_so in said.items() if is_so}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """``order`` is the field by which results come that are equally good."""

    name: str
    fields: Sequence[Field]
    order: str
    synonyms: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{self.name} has {', '.join(twice)} more than once; a field has one name and one type")
        ordered = next((field for field in self.fields if field.name == self.order), None)
        if ordered is None or ordered.type not in ("int32", "int64", "float") or ordered.optional:
            raise ValueError(
                f"{self.name} is ordered by {self.order!r}; that is a field with a number that every document has "
                "(Typesense documentation, default_sorting_field)"
            )
        for words in self.synonyms:
            if len(set(words)) < 2:
                raise ValueError(f"{self.name} has synonyms {list(words)}; two or more different words mean the same")

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "fields": [field.document() for field in self.fields],
            "default_sorting_field": self.order,
            # Names of venues and artists: "rock'n'roll" is one word, "saint-denis" is two.
            "token_separators": ["-", "/"],
        }


EVENTS = Collection(
    name="events",
    order="starts_at",
    fields=(
        Field(name="name", type="string", infix=True),
        Field(name="description", type="string", optional=True),
        Field(name="organiser_id", type="string", facet=True),
        Field(name="artists", type="string[]", facet=True, optional=True),
        Field(name="categories", type="string[]", facet=True, optional=True),
        Field(name="venue", type="string", facet=True, optional=True),
        Field(name="city", type="string", facet=True, optional=True),
        Field(name="location", type="geopoint", optional=True),
        # Seconds since 1970: Typesense has no dates.
        Field(name="starts_at", type="int64"),
        # In the smallest unit of the currency, as booking keeps it.
        Field(name="price_from", type="int64", optional=True),
        Field(name="currency", type="string", facet=True, optional=True),
        Field(name="on_sale", type="bool", facet=True),
    ),
    synonyms=(
        ("concert", "gig", "live show"),
        ("festival", "open air"),
        ("theatre", "theater", "play"),
        ("football", "soccer"),
        ("comedy", "stand-up"),
        ("kids", "children", "family"),
    ),
)
COLLECTIONS = (EVENTS,)


def schema(collections: Sequence[Collection] = COLLECTIONS) -> dict[str, Any]:
    """Everything that the set-up job applies: each collection, and its synonyms by name."""
    return {
        "collections": [
            {
                "schema": collection.document(),
                "synonyms": {words[0].replace(" ", "-"): {"synonyms": list(words)} for words in collection.synonyms},
            }
            for collection in collections
        ]
    }
