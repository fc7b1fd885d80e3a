"""The expanding part of FlowNetS: a flow from the coarsest map, then refined.

At every level the features and the flow so far are doubled in size and joined
with the encoder's map of that size. Level k has stride 2**k.
"""

from typing import List, Optional, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

#: The finest level at which a flow is predicted, as published: stride 4.
FINEST = 2


class FlowDecoder(BaseModule):
    """Flows at all levels from the coarsest to stride 4.

    Args:
        in_channels (Sequence[int]): Channels of the encoder's maps, stride 2
            first.
        base_channels (int): Channels of the features at stride 4; doubled with
            every level, at most eight times as many.
        negative_slope (float): Of the leaky rectifiers.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 base_channels: int = 64,
                 negative_slope: float = 0.1,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.levels = range(len(in_channels) - 1, FINEST - 1, -1)
        self.predict = nn.ModuleList()  # coarsest first
        self.features = nn.ModuleList()
        self.upsample = nn.ModuleList()
        before = in_channels[-1]
        for level in self.levels:
            width = base_channels * min(2**(level - FINEST), 8)
            self.predict.append(_predictor(before))
            self.features.append(nn.Sequential(
                nn.ConvTranspose2d(before, width, 4, 2, 1),
                nn.LeakyReLU(negative_slope, inplace=True)))
            self.upsample.append(nn.ConvTranspose2d(2, 2, 4, 2, 1))
            before = in_channels[level - 1] + width + 2
        self.predict.append(_predictor(before))

    def forward(self, maps: Sequence[Tensor]) -> List[Tensor]:
        """Return flows (B, 2, h, w), stride 4 first.

        Args:
            maps: Of the encoder, stride 2 first, each half as large as the one
                before.
        """
        x = maps[-1]
        flows = [self.predict[0](x)]
        for k, level in enumerate(self.levels):
            x = torch.cat([maps[level - 1], self.features[k](x),
                           self.upsample[k](flows[-1])], 1)
            flows.append(self.predict[k + 1](x))
        return flows[::-1]


def _predictor(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, 2, 3, padding=1)
