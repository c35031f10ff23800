"""SGRS-Net and the methods it is compared with: networks, losses, methods, data, evaluation."""

__version__ = "0.1.0"
