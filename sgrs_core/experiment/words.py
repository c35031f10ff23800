"""What a key may be, in words, read from the schema that its class gives.

The error of a wrong value and the page of all keys say the same, because both say this.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter

Node = Mapping[str, Any]  # a part of a JSON schema

NAME, SHA256 = r"^[A-Za-z0-9_-]{1,100}$", "^[0-9a-f]{64}$"
PATTERNS = {NAME: "1 to 100 letters, digits, `_` and `-`", SHA256: "64 hex digits in lower case"}
NAMES = {"integer": "whole number", "number": "number", "string": "text", "null": "null"}


@cache
def schema_of(kind: Any) -> Node:
    """The JSON schema of a class of settings."""
    return TypeAdapter(kind).json_schema()


def words(node: Node) -> str:
    """What a node of a schema allows: `number from 0 to below 1`."""
    if "enum" in node or "const" in node:
        return ", ".join(f"`{value}`" for value in node.get("enum") or [node["const"]])
    if "anyOf" in node:
        return "; or ".join(
            words(part) if part != {"type": "null"} else "`null`" for part in node["anyOf"]
        )
    if "$ref" in node:
        return "keys of its own, below"
    match node.get("type"):
        case "boolean":
            return "`true` or `false`"
        case "array" if "prefixItems" in node:  # all of one kind
            return f"{len(node['prefixItems'])} {_several(words(node['prefixItems'][0]))}"
        case "array":
            few, many = node.get("minItems", 0), node.get("maxItems")
            some = f"{few} to {many}" if many else "one or more" if few else "any number"
            return f"{some} of: {words(node['items'])}"
        case "object":
            return f"by name: {words(_by_name(node))}"
        case "string" if "pattern" in node:
            return PATTERNS.get(node["pattern"], f"text like {node['pattern']}")
        case str() as name:
            return NAMES[name] + _bounds(node)
    return "any"


def _bounds(node: Node) -> str:
    said = {
        "minimum": " from {}", "exclusiveMinimum": " above {}",
        "maximum": " to {}", "exclusiveMaximum": " to below {}", "multipleOf": ", a multiple of {}",
    }  # fmt: skip
    return "".join(text.format(node[key]) for key, text in said.items() if key in node)


def _several(one: str) -> str:
    """The plural, of what may be one already."""
    plural = re.sub(r"\b(number|text)\b", r"\1s", one)
    return plural.replace("a multiple", "multiples").replace("keys of its own, below", "keys")


def allowed_at(kind: Any, place: Sequence[Any]) -> str:
    """How an error says what is allowed at a place: `allowed are numbers from 0 to below 1`."""
    parts = [part for node in _at(kind, place) for part in node.get("anyOf", [node])]
    said = [_several(words(part)) for part in parts if "$ref" not in part]
    if len(said) < len(parts):
        said.append(f"keys and values: {', '.join(keys_at(kind, place))}")
    return f"allowed are {'; or '.join(dict.fromkeys(said)).replace('`', chr(39))}"


def keys_at(kind: Any, place: Sequence[Any]) -> list[str]:
    """The keys that a group of settings may hold."""
    nodes = _groups(schema_of(kind), _at(kind, place))
    return sorted({key for node in nodes for key in node.get("properties", {})})


def _at(kind: Any, place: Sequence[Any]) -> list[Node]:
    """The nodes of a schema that describe a place: several where one type or another may stand."""
    root = schema_of(kind)
    if place and place[-1] == "[key]":  # a name is wrong, not what stands under it
        return [_names(node) for node in _groups(root, _at(kind, place[:-2]))]
    nodes: list[Node] = [root]
    for step in place:
        inner = [_below(node, step) for node in _groups(root, nodes)]
        nodes = list(filter(None, inner)) or nodes  # a step may only name one of several types
    return nodes


def _below(node: Node, step: Any) -> Node:
    """What stands under a key, a number in a list, or a free name; nothing where that cannot be."""
    if isinstance(step, int) and node.get("type") == "array":
        return node["prefixItems"][0] if "prefixItems" in node else node["items"]
    return node.get("properties", {}).get(step) or _by_name(node)


def _names(node: Node) -> Node:
    """What the free names themselves may be."""
    for pattern in node.get("patternProperties", {}):
        return {"type": "string", "pattern": pattern}
    return node.get("propertyNames", {"type": "string"})


def _by_name(node: Node) -> Node:
    """What stands under names that are free."""
    for part in (*node.get("patternProperties", {}).values(), node.get("additionalProperties")):
        if isinstance(part, Mapping):
            return part
    return {}


def _groups(root: Node, nodes: Iterable[Node]) -> list[Node]:
    """The nodes with references followed and alternatives side by side."""
    found: list[Node] = []
    for node in nodes:
        if "$ref" in node:
            found += _groups(root, [root["$defs"][node["$ref"].rsplit("/", 1)[-1]]])
        elif "anyOf" in node:
            found += _groups(root, node["anyOf"])
        else:
            found.append(node)
    return found
