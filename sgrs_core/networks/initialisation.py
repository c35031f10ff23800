"""First weights other than PyTorch's own."""

from torch import nn


def he_normal(network: nn.Module) -> None:
    """Draw every convolution's weight from N(0, 2 / fan_in), in place (He et al., ICCV 2015).

    fan_in is the weight's second dimension times its kernel's volume: the input channels of a
    convolution, but the output channels of a transposed one. Biases and norms stay as they are.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight)
