"""`python -m services.setup.search`: bring Typesense to what SEARCH_SCHEMA describes; safe to repeat.

A collection that is not there is made; a new optional field is added to one that is there; a field that changed is
refused, because Typesense would drop its values and sort what it holds anew while people search. Synonyms are put by
name, and those that are not described are removed. Keys are made from the values of their secrets, the next value too,
so that a key is known before anybody uses it; keys of this program that no secret holds any longer are removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import Field, SecretStr, field_validator

from services.setup import documents
from services.setup.documents import Refused, SetupSettings, call

# What holders of a key may do, and with which collections (Typesense documentation, "API keys").
_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "reading": ("documents:search", "documents:get"),
    "writing": ("documents:*", "collections:get"),
}
# What of a field cannot change without its values being read again.
_FIXED = ("type", "facet", "infix", "optional")


class SearchSettings(SetupSettings):
    """Where Typesense is, its administrator's key, the document, and the keys to be known."""

    search_url: str = Field(pattern="^https?://")
    search_administrator_key: SecretStr
    search_schema: str
    search_keys: SecretStr
    """JSON: ``reading`` and ``writing`` → values; empty ones count for nothing."""

    _document = field_validator("search_schema")(documents.is_object)


def apply(settings: SearchSettings) -> dict[str, int]:
    """Create or change everything; returns what was done. Raises Refused, httpx.TransportError."""
    wanted: list[dict[str, Any]] = json.loads(settings.search_schema)["collections"]
    keys: dict[str, list[str]] = json.loads(settings.search_keys.get_secret_value())
    done = {"collections": 0, "fields": 0, "synonyms": 0, "keys": 0}
    with httpx.Client(
        base_url=settings.search_url,
        headers={"X-TYPESENSE-API-KEY": settings.search_administrator_key.get_secret_value()},
        timeout=documents.SECONDS,
    ) as client:
        for item in wanted:
            made, fields = _collection(client, item["schema"])
            done["collections"] += made
            done["fields"] += fields
            done["synonyms"] += _synonyms(client, item["schema"]["name"], item["synonyms"])
        done["keys"] = _keys(client, keys, [item["schema"]["name"] for item in wanted])
    return done


def _collection(client: httpx.Client, schema: Mapping[str, Any]) -> tuple[int, int]:
    name = schema["name"]
    found = call(client, "GET", f"collections/{name}", missing=True)
    if found is None:
        call(client, "POST", "collections", schema)
        return 1, 0
    there = {field["name"]: field for field in found["fields"]}
    added = [field for field in schema["fields"] if field["name"] not in there]
    changed = [difference for field in schema["fields"] if (difference := _difference(there, field))]
    if found["default_sorting_field"] != schema["default_sorting_field"]:
        changed.append(f"ordered by {found['default_sorting_field']}, wanted by {schema['default_sorting_field']}")
    if changed:
        raise Refused(
            f"collection {name} cannot be changed in place: {'; '.join(changed)}. Describe a field or a collection of "
            "a new name beside it, fill it, let searches use it, and drop the old one then"
        )
    if demanding := [field["name"] for field in added if not field.get("optional")]:
        raise Refused(
            f"collection {name} gets {', '.join(demanding)}, which its documents lack; make new fields optional"
        )
    if added:
        call(client, "PATCH", f"collections/{name}", {"fields": added})
    return 0, len(added)


def _difference(there: Mapping[str, Mapping[str, Any]], field: Mapping[str, Any]) -> str:
    """What of a field that is there is not as described; "" when all is."""
    found = there.get(field["name"])
    if found is None:
        return ""
    different = [
        f"{key} is {found.get(key, False)}, wanted is {field.get(key, False)}"
        for key in _FIXED
        if found.get(key, False) != field.get(key, False)
    ]
    return f"{field['name']}: {', '.join(different)}" if different else ""


def _synonyms(client: httpx.Client, collection: str, wanted: Mapping[str, Any]) -> int:
    path = f"collections/{collection}/synonyms"
    found = {each["id"]: each["synonyms"] for each in call(client, "GET", path)["synonyms"]}
    changed = {name: body for name, body in wanted.items() if found.get(name) != body["synonyms"]}
    for name, body in changed.items():
        call(client, "PUT", f"{path}/{name}", body)
    for name in sorted(set(found) - set(wanted)):
        call(client, "DELETE", f"{path}/{name}")
    return len(changed)


def _keys(client: httpx.Client, keys: Mapping[str, list[str]], collections: list[str]) -> int:
    """Typesense shows the first letters of a key alone: which one it is stands in its description, as a digest.

    A key cannot be changed, and there are no two of one value: what differs is removed before its like is made.
    """
    wanted = {}
    for use, values in keys.items():
        for value in filter(None, values):
            body = {"actions": list(_RIGHTS[use]), "collections": sorted(collections), "value": value}
            digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
            wanted[f"{use}:{digest}"] = body
    found = {key["description"]: key["id"] for key in call(client, "GET", "keys")["keys"]}
    for name, number in found.items():
        if name.partition(":")[0] in _RIGHTS and name not in wanted:
            call(client, "DELETE", f"keys/{number}")
    made = [name for name in wanted if name not in found]
    for name in made:
        call(client, "POST", "keys", {"description": name, **wanted[name]})
    return len(made)


def main() -> None:
    """Apply the document, or end with a message and status 1."""
    documents.run("search", SearchSettings, apply)


if __name__ == "__main__":
    main()
