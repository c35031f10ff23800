"""V-Net trained on the labelled scans alone: the supervised rows of every table."""

from dataclasses import dataclass

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.common import cross_entropy_map, squared_dice_loss
from sgrs_core.methods.base import Method, StepOutput


@dataclass(frozen=True)
class VNetSettings:
    """Every choice of the method.

    rate_falls: after which shares of the run's iterations the learning rate falls to a tenth; none:
    it is constant.
    """

    rate_falls: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if any(not 0 < share < 1 for share in self.rate_falls):
            raise ValueError(
                f"rate_falls = {list(self.rate_falls)}: allowed are numbers between 0 and 1"
            )


class SupervisedVNet(Method):
    """Loss: 0.5 (cross-entropy + Dice loss) on the labelled patches."""

    Settings = VNetSettings
    settings: VNetSettings
    uses_unlabelled = False

    def __init__(self, run: TrainingSettings, settings: VNetSettings | None = None) -> None:
        super().__init__(run, settings)
        self.network = self.new_vnet()

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        logits = self.network(batch.images_l).float()
        foreground = logits.softmax(dim=1)[:, 1]
        cross_entropy = cross_entropy_map(logits, batch.labels_l).mean()
        dice = squared_dice_loss(foreground, batch.labels_l)
        loss = 0.5 * (cross_entropy + dice)
        return StepOutput(loss, {"cross_entropy": cross_entropy.detach(), "dice": dice.detach()})

    def learning_rate(self, iteration: int) -> float:
        """The run's, a tenth of it after each of `rate_falls`."""
        falls = (round(share * self.run.iterations) for share in self.settings.rate_falls)
        return self.run.learning_rate * 0.1 ** sum(iteration > fall for fall in falls)
