"""What defines a training run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from sgrs_core.experiment.settings import InferenceSettings, Selection, TrainingSettings


@dataclass(frozen=True)
class Run:
    """One training run, complete; runs of the same `identity` have the same weights.

    method: id in METHODS; settings: its own. labelled, unlabelled: names of the training scans.
    selection_scans: for each way of choosing a checkpoint, the scans it looks at (none for `last`).
    absent: names of the published lists that no longer exist, so that nothing could be learnt or
    tested on them. recipe: `shared` or `official`, where its settings come from.
    """

    method: str
    settings: Mapping[str, Any]
    training: TrainingSettings
    inference: InferenceSettings
    seed: int
    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    selection_scans: Mapping[Selection, tuple[str, ...]]
    absent: tuple[str, ...] = ()
    recipe: str = "shared"

    def description(self) -> dict[str, Any]:
        """The run as nested dictionaries, lists, texts and numbers, for JSON and model files."""
        description: dict[str, Any] = _plain(asdict(self))
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

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> Self:
        """The run that `description` described."""
        groups = {"training": TrainingSettings, "inference": InferenceSettings}
        restored = {
            key: groups[key](**_tuples(value)) if key in groups else value
            for key, value in _tuples(_of_today(values)).items()
        }
        return cls(**restored)


def _of_today(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A description as it is written today: once the largest component was a method's setting."""
    settings = dict(values["settings"])
    if "largest_component" not in settings:
        return values
    inference = {**values["inference"], "largest_component": settings.pop("largest_component")}
    return {**values, "settings": settings, "inference": inference}


def _plain(value: Any) -> Any:
    """Tuples to lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _tuples(value: Any) -> Any:
    """Lists to tuples."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
