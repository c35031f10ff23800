"""The methods: one file each, listed here once."""

from collections.abc import Mapping

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
