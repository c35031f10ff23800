"""The methods: one file each, listed here once."""

from collections.abc import Mapping

from sgrs_core.methods.caml import CorrelationAwareMutualLearning
from sgrs_core.methods.mcnet_plus import McNetPlus
from sgrs_core.methods.method import Method
from sgrs_core.methods.sgrs import SynergyGuidedRegionalSupervision
from sgrs_core.methods.vnet import SupervisedVNet

METHODS: Mapping[str, type[Method]] = {
    "vnet": SupervisedVNet,
    "mcnet_plus": McNetPlus,
    "caml": CorrelationAwareMutualLearning,
    "sgrs": SynergyGuidedRegionalSupervision,
}
