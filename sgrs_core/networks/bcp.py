"""The network of BCP's Pancreas-CT recipe: a V-Net whose norms know neither batch nor history."""

from torch import nn

from sgrs_core.networks.vnet import VNet


def instance_norm_vnet(classes: int = 2, base_filters: int = 16) -> VNet:
    """A V-Net without dropout, each batch norm replaced by an instance norm without parameters.

    It computes the same in train and in eval mode. The bottleneck must have more than one voxel:
    patches of 16 voxels along all three sides are too small for it in training.
    """
    network = VNet(classes, base_filters, dropout=0)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm3d):
                setattr(parent, name, nn.InstanceNorm3d(child.num_features))
    return network
