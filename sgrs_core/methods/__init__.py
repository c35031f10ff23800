"""The methods: one file each, listed here once; and what follows from a run alone."""

from collections.abc import Mapping

import numpy as np
import torch

from sgrs_core.experiment.run import Run
from sgrs_core.methods.base import Method
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


def new_method(run: Run) -> Method:
    """The run's method at its first weights, which depend on the seed alone."""
    seed_everything(run.seed, 0)
    kind = METHODS[run.method]
    return kind(run.training, kind.Settings(**run.settings), len(run.labelled))


def seed_everything(seed: int, iteration: int) -> None:
    """Make all of torch's random numbers from here on a function of seed and iteration."""
    state = np.random.SeedSequence([seed, iteration]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(state >> np.uint64(1)))  # manual_seed takes 63 bits everywhere
