"""V-Net trained on the labelled scans alone: the supervised rows of every table."""

from typing import Annotated

from pydantic import Field

from sgrs_core.data.batch import Batch
from sgrs_core.losses.common import cross_entropy_map, foreground, squared_dice_loss
from sgrs_core.methods.base import Method, MethodSettings, StepOutput, step_decay

Fall = Annotated[float, Field(gt=0, lt=1)]


class VNetSettings(MethodSettings):
    """Every choice of the method."""

    rate_falls: tuple[Fall, ...] = ()
    """after which shares of the run's iterations the learning rate falls to a tenth; none: it is
    constant"""


class SupervisedVNet(Method):
    """Loss: 0.5 (cross-entropy + Dice loss) on the labelled patches."""

    Settings = VNetSettings
    settings: VNetSettings
    uses_unlabelled = False

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        logits = self.network(batch.images_l).float()
        cross_entropy = cross_entropy_map(logits, batch.labels_l).mean()
        dice = squared_dice_loss(foreground(logits), batch.labels_l)
        loss = 0.5 * (cross_entropy + dice)
        return StepOutput.of(loss, cross_entropy=cross_entropy, dice=dice)

    def learning_rate(self, iteration: int) -> float:
        """The run's, a tenth of it after each of `rate_falls`."""
        run = self.training_settings
        falls = [round(share * run.iterations) for share in self.settings.rate_falls]
        return run.learning_rate * step_decay(iteration, falls, factor=0.1)
