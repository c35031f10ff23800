"""What defines a training run."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from sgrs_core.experiment.settings import InferenceSettings, Selection, TrainingSettings


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Run:
    """One training run, complete; runs of the same `identity` have the same weights.

    method: id in METHODS, or `package.module:Class`; settings: its own. labelled, unlabelled: names
    of the training scans. selection_scans: for each way of choosing a checkpoint, the scans it
    looks at (none for `last`). absent: names of the published lists that no longer exist, so that
    nothing could be learnt or tested on them. recipe: `shared` or `official`, where its settings
    come from. source_sha256: of the file of a method of one's own.
    """

    method: str
    settings: dict[str, Any]
    training: TrainingSettings
    inference: InferenceSettings
    seed: int
    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    selection_scans: dict[Selection, tuple[str, ...]]
    absent: tuple[str, ...] = ()
    recipe: str = "shared"
    source_sha256: str | None = None

    @property
    def scans_by_use(self) -> dict[str, tuple[str, ...]]:
        """The scans that it learns from, as `training`, and those that each selection looks at."""
        judges = {str(name): scans for name, scans in self.selection_scans.items()}
        return {"training": (*self.labelled, *self.unlabelled), **judges}

    @property
    def scans(self) -> list[str]:
        """The names of all scans that it may read, each once."""
        return list(dict.fromkeys(chain.from_iterable(self.scans_by_use.values())))

    def description(self) -> dict[str, Any]:
        """The run as nested dictionaries, lists, texts and numbers, for JSON and model files."""
        description = TypeAdapter(Run).dump_python(self, mode="json")
        if self.source_sha256 is None:  # runs of before there were such methods stay what they are
            del description["source_sha256"]
        return description

    def identity(self) -> dict[str, Any]:
        """The part of the description that decides the weights: two runs of one identity are one.

        Left out is how often something is written, where it is computed, and what prediction alone
        needs; of inference, the stride of choosing stays where a checkpoint is chosen.
        """
        description = self.description()
        del description["recipe"]
        for key in ("device", "log_every", "checkpoint_every"):
            del description["training"][key]
        inference = description.pop("inference")
        if any(self.selection_scans.values()):
            description["selection_stride"] = inference["selection_stride"]
        return description

    @property
    def predicting(self) -> dict[str, Any]:
        """What decides its masks besides its weights."""
        inference = self.description()["inference"]
        return {key: inference[key] for key in ("stride", "largest_component")}

    def choosing(self, selections: Collection[Selection]) -> Self:
        """The same run, with those of its selections alone that are named."""
        kept = {name: judges for name, judges in self.selection_scans.items() if name in selections}
        return replace(self, selection_scans=kept)

    def answers(self, asked: Self) -> bool:
        """Whether it leaves what `asked` would: it may choose in further ways, too.

        Choosing moves no weight. A method that learns on from what was chosen wants it to be asked
        for (`Method.trained_on`).
        """
        return self.choosing(asked.selection_scans).identity() == asked.identity()

    @property
    def digest(self) -> str:
        """Of the identity; the same wherever it was read from, and however a number is written."""
        identity = self.identity()
        identity["settings"] = {key: _plain(value) for key, value in identity["settings"].items()}
        text = json.dumps(identity, sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> Self:
        """The run that `description` described; ValueError, in a line, where it described none."""
        try:
            return TypeAdapter(cls).validate_python(_of_today(values))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"of another version ({where}: {first['msg']})") from None


def _plain(value: Any) -> Any:
    """1 for 1.0, and likewise; other values as they are."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _of_today(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A description as it is written today: once the largest component was a method's setting."""
    settings = dict(values["settings"])
    if "largest_component" not in settings:
        return values
    inference = {**values["inference"], "largest_component": settings.pop("largest_component")}
    return {**values, "settings": settings, "inference": inference}
