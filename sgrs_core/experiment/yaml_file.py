"""Configuration files read strictly: what YAML would take in silence is said.

A key that stands twice, of which the last would count; `1:30`, which YAML 1.1 reads as 90, and
`010`, which it reads as 8; anchors, which Snakemake would merge into every place; keys that are
neither texts nor numbers of labelled scans.
"""

import re
from pathlib import Path
from typing import Any

import yaml

SURPRISING = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")


class StrictLoader(yaml.SafeLoader):
    """Refuses what would surprise, with the place where it stands."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse("anchors and aliases (& and *) are not allowed; write the values", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith((":str", ":int")):
                shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                self._refuse(f"the key {shown!r} is no name; write a text in quotes", key)
            if key.value in seen:
                self._refuse(f"the key {key.value!r} stands there twice, allowed is once", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        is_number = node.tag.endswith((":int", ":float"))
        if is_number and isinstance(node.value, str) and SURPRISING.fullmatch(node.value):
            self._refuse(
                f"{node.value} is read in base 60 or 8: write it in decimal, or a text in quotes",
                node,
            )
        return super().construct_scalar(node)

    def _refuse(self, what: str, where: Any) -> None:
        raise yaml.MarkedYAMLError(problem=what, problem_mark=where.start_mark)


def value_of(text: str, place: str) -> Any:
    """What a text says as YAML. place: of the text. Raises ValueError, naming place and line."""
    try:
        return StrictLoader(text).get_single_data()
    except RecursionError:
        raise ValueError(f"{place}: not readable as YAML: nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark else ""
        said = " ".join(filter(None, (error.context, error.problem)))
        raise ValueError(f"{place}{line}: not readable as YAML: {said}") from None
    except (yaml.YAMLError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{place}: not readable as YAML: {said}") from None


def read_yaml(file: Path) -> dict[str, Any]:
    """The keys and values of a configuration file. Raises ValueError, naming file and line."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    values = value_of(text, str(file))
    if not isinstance(values, dict):
        held = "is empty" if values is None else f"holds {values!r:.60}"
        raise ValueError(f"{file}: must hold keys and values, {held}")
    return values
