"""The methods: one file each, listed here once; and what follows from a run alone."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from sgrs_core.experiment.own_methods import is_own, with_its_kind
from sgrs_core.experiment.run import Run
from sgrs_core.files import sha256_of
from sgrs_core.methods.base import Method, MethodSettings
from sgrs_core.methods.bcp import BidirectionalCopyPaste
from sgrs_core.methods.caml import CorrelationAwareMutualLearning
from sgrs_core.methods.cobionet import CoBioNet
from sgrs_core.methods.dtc import DualTaskConsistency
from sgrs_core.methods.mcf import MutualCorrection
from sgrs_core.methods.mcnet_plus import McNetPlus
from sgrs_core.methods.sgrs import SynergyGuidedRegionalSupervision
from sgrs_core.methods.ssnet import SmoothnessAndSeparation
from sgrs_core.methods.urpc import UncertaintyRectifiedPyramidConsistency
from sgrs_core.methods.vnet import SupervisedVNet

METHODS: Mapping[str, type[Method]] = {
    "vnet": SupervisedVNet,
    "dtc": DualTaskConsistency,
    "urpc": UncertaintyRectifiedPyramidConsistency,
    "ssnet": SmoothnessAndSeparation,
    "mcnet_plus": McNetPlus,
    "caml": CorrelationAwareMutualLearning,
    "cobionet": CoBioNet,
    "bcp": BidirectionalCopyPaste,
    "mcf": MutualCorrection,
    "sgrs": SynergyGuidedRegionalSupervision,
}


def method_class(method: str) -> type[Method]:
    """The class of an id, or of `package.module:Class`, whose module is run by this.

    Raises ValueError, saying what is wrong with it.
    """
    if not is_own(method):
        if method not in METHODS:
            raise ValueError(f"allowed are {', '.join(METHODS)}, and <package>.<module>:<Class>")
        return METHODS[method]
    module, _, name = method.partition(":")
    try:
        loaded = import_module(module)
    except (Exception, SystemExit) as error:  # whatever someone's file raises
        own = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        hint = f": the folder of {module.replace('.', '/')}.py must be in PYTHONPATH" if own else ""
        raise ValueError(with_its_kind("cannot be imported", error) + hint) from None
    kind = getattr(loaded, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        file = getattr(loaded, "__file__", module)
        raise ValueError(f"{file} has no class {name} made from sgrs_core's Method")
    if kind.__module__ != module:  # else a change of its file would not be noticed
        raise ValueError(f"the class stands elsewhere: write {kind.__module__}:{kind.__name__}")
    if kind.step is Method.step:
        raise ValueError(f"the class {name} has no function step")
    if not (isinstance(kind.Settings, type) and issubclass(kind.Settings, MethodSettings)):
        raise ValueError(f"{name}.Settings is no class made from sgrs_core's MethodSettings")
    for setting, field in kind.Settings.model_fields.items():
        if field.is_required():
            raise ValueError(f"{name}.Settings.{setting} has no default; give it one")
    return kind


def is_changed(run: Run) -> bool:
    """Whether the file of the run's method is another one than when the run was planned."""
    known = run.source_sha256
    return known is not None and known != sha256_of(Path(inspect.getfile(method_class(run.method))))


def new_method(run: Run) -> Method:
    """The run's method at its first weights, which depend on the seed alone."""
    kind = method_class(run.method)
    seed_everything(run.seed, 0)
    return kind(run.training, kind.Settings(**run.settings), len(run.labelled))


def seed_everything(seed: int, iteration: int) -> None:
    """Make all of torch's random numbers from here on a function of seed and iteration."""
    state = np.random.SeedSequence([seed, iteration]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(state >> np.uint64(1)))  # manual_seed takes 63 bits everywhere
