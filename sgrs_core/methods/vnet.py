"""V-Net trained on the labelled scans alone: the supervised rows of every table."""

import torch

from sgrs_core.losses.segmentation import cross_entropy_map, squared_dice_loss
from sgrs_core.methods.method import Batch, Method, StepOutput
from sgrs_core.settings import TrainingSettings


class SupervisedVNet(Method):
    """Loss: 0.5 (cross-entropy + Dice loss) on the labelled patches."""

    uses_unlabelled = False

    def __init__(self, run: TrainingSettings, settings: None = None) -> None:
        super().__init__(run, settings)
        self.network = self.new_vnet()

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        logits = self.network(batch.images_l).float()
        foreground = torch.softmax(logits, dim=1)[:, 1]
        cross_entropy = cross_entropy_map(logits, batch.labels_l).mean()
        dice = squared_dice_loss(foreground, batch.labels_l)
        loss = 0.5 * (cross_entropy + dice)
        return StepOutput(loss, {"cross_entropy": cross_entropy.detach(), "dice": dice.detach()})
