"""The representatives of a batch in tensors: padded, gathered, convolved.

Images have different numbers of representatives; they are padded to the
largest, R, and a mask says which places are real.
"""

from typing import List, Optional, Tuple

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmengine import dist
from mmengine.model import BaseModule
from torch import Tensor, nn


def pad_representatives(representatives: List[Tensor]) -> Tuple[Tensor, Tensor]:
    """Return indices (B, R), padded with 0, and the mask (B, R) of real places."""
    indices = nn.utils.rnn.pad_sequence(representatives, batch_first=True)
    lengths = torch.tensor([len(r) for r in representatives])
    places = torch.arange(indices.shape[1])
    return indices, (places < lengths[:, None]).to(indices.device)


def gather_positions(values: Tensor, indices: Tensor) -> Tensor:
    """Return values (B, N, C) at indices (B, R), as (B, R, C)."""
    return values.gather(1, indices.unsqueeze(2).expand(-1, -1, values.shape[2]))


class RepresentativeConv(BaseModule):
    """1-D convolution, norm and activation along the list of representatives.

    Stands for the released 3x3 convolution over a one-column map of the
    raster-ordered list, of which only the middle column of weights acts. The
    lists of a batch are laid end to end with zeros between them, so images
    never mix, and one normalisation sees all representatives of the batch.

    Args:
        channels: C.
        kernel_size: 3 (released) or 1 (does not depend on the raster order).
        norm_cfg, act_cfg: As in mmcv.
    """

    def __init__(self, channels: int, kernel_size: int, norm_cfg: Optional[dict],
                 act_cfg: Optional[dict]) -> None:
        super().__init__()
        if kernel_size not in (1, 3):
            raise ValueError('representative_kernel must be 1 or 3, '
                             f'got {kernel_size}.')
        self.conv = nn.Conv1d(channels, channels, kernel_size,
                              padding=kernel_size // 2, bias=norm_cfg is None)
        self.norm = build_norm_layer(norm_cfg, channels)[1] if norm_cfg else None
        if self.norm is not None and not isinstance(
                self.norm, nn.modules.batchnorm._BatchNorm):
            raise ValueError(
                'norm_cfg over representatives must be a batch norm (BN, SyncBN), '
                f'got {norm_cfg!r}: other norms would mix the images of a batch.')
        self.act = build_activation_layer(act_cfg) if act_cfg else None
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity='leaky_relu')

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map (B, R, C) with mask (B, R) to (B, R, C); padding stays zero."""
        gap = self.conv.padding[0]
        batch, _, channels = values.shape
        # Every image's row, then its gap: padding and gap are zeros alike.
        line = nn.functional.pad(values * mask.unsqueeze(2).to(values.dtype),
                                 (0, 0, 0, gap))
        line = line.to(self.conv.weight.dtype)  # of a model cast to half
        line = self.conv(line.reshape(1, -1, channels).transpose(1, 2))
        line = line.transpose(1, 2).view(batch, -1, channels)
        rows = line[:, :mask.shape[1]][mask]  # (all representatives, C)
        rows = self._normalise(rows)
        if self.act is not None:
            rows = self.act(rows)
        out = values.new_zeros(values.shape)
        return out.masked_scatter(mask.unsqueeze(2), rows.to(values.dtype))

    def _normalise(self, rows: Tensor) -> Tensor:
        if self.norm is None:
            return rows
        columns = rows.t()[None, :, :, None]  # (1, C, all, 1), for 2-D norms
        # One value has no variance: torch refuses to train on it. SyncBN may
        # see more on other processes, which wait for this one, so it is called.
        norm = self.norm
        waited_for = isinstance(norm, nn.SyncBatchNorm) and dist.is_distributed()
        own_statistics = self.training or norm.running_mean is None
        if own_statistics and rows.shape[0] == 1 and not waited_for:
            if norm.running_mean is None:
                return rows
            columns = nn.functional.batch_norm(
                columns, norm.running_mean, norm.running_var, norm.weight,
                norm.bias, training=False, eps=norm.eps)
        else:
            columns = norm(columns)
        return columns[0, :, :, 0].t()
