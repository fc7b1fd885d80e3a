"""FlowNetS, plain or segmentation-aware, as an mmengine model.

Dosovitskiy et al. (ICCV 2015); Harley et al. (ICCV 2017) for the masks: the
convolutions of the contracting part attend to the segments of the first image.
Shapes: B batch, H x W images, E embedding dimensions.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ...ops.flow import end_point_error
from ..guide import Guide, bind_guide
from ..label_maps import shrink_labels
from .decoder import FlowDecoder
from .encoder import FlowEncoder

Samples = Sequence[BaseDataElement]


@MODELS.register_module()
class FlowNetS(BaseModel):
    """A small regressor from two images to the flow of the first.

    The images may have any size: they are padded at the right and at the bottom
    to a multiple of 2**num_stages by their last pixels, and the flow is cropped.
    The prediction at stride 4 is enlarged to the images' size.

    Weights of the plain network load into the aware one; the embedding and the
    hardnesses keep their own.

    Args:
        base_channels (int): Channels of the first stage; 64 in FlowNetS.
        num_stages (int): Stages of stride 2; 6 in FlowNetS.
        conv_cfg (dict | None): Convolutions of the contracting part;
            ``dict(type='SegAwareConv2d')`` makes them aware, which needs
            ``embedding``.
        norm_cfg (dict | None): Norms of the contracting part.
        act_cfg (dict): Activations of the contracting part.
        embedding (dict | None): From the first image, as the network gets it, to
            its embedding: ``EmbeddingNet``, ``ColorEmbedding``.
        frozen_embedding (bool): Do not train the embedding.
        flow_scale (float): Pixels of flow for an output of 1; 20 as published.
        loss_flow (dict): Loss of the predictions, in units of ``flow_scale``.
        loss_embed (dict | None): Loss of the embedding for samples with
            ``gt_layers``: ``dict(type='EmbeddingLoss', loss_weight=0.1)``.
        data_preprocessor (dict | None): As in mmengine's ``BaseModel``.

    Raises:
        ValueError: Aware convolutions without an embedding, or the reverse.
    """

    def __init__(self,
                 base_channels: int = 64,
                 num_stages: int = 6,
                 conv_cfg: Optional[dict] = None,
                 norm_cfg: Optional[dict] = None,
                 act_cfg: dict = dict(  # noqa: B006
                     type='LeakyReLU', negative_slope=0.1),
                 embedding: Optional[dict] = None,
                 frozen_embedding: bool = False,
                 flow_scale: float = 20.,
                 loss_flow: dict = dict(  # noqa: B006
                     type='MultiScaleEndPointError'),
                 loss_embed: Optional[dict] = None,
                 data_preprocessor: Optional[dict] = None,
                 init_cfg: Any = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.encoder = FlowEncoder(6, base_channels, num_stages, conv_cfg, norm_cfg,
                                   act_cfg)
        self.decoder = FlowDecoder(self.encoder.channels, base_channels)
        self.embedding = None if embedding is None else MODELS.build(embedding)
        self.guide = Guide()
        aware = bind_guide(self.encoder, self.guide)
        if bool(aware) != (self.embedding is not None):
            raise ValueError(
                'conv_cfg makes aware convolutions, which need an embedding: give '
                "embedding=dict(type='EmbeddingNet', ...)." if aware else
                "embedding is read by aware convolutions only: give conv_cfg=dict("
                "type='SegAwareConv2d'), or leave the embedding out.")
        if loss_embed is not None and (self.embedding is None or frozen_embedding):
            raise ValueError('loss_embed needs an embedding that is trained.')
        self.multiple = 2**num_stages
        self.flow_scale = float(flow_scale)
        self.loss_flow = MODELS.build(loss_flow)
        self.loss_embed = None if loss_embed is None else MODELS.build(loss_embed)
        self.frozen_embedding = frozen_embedding and self.embedding is not None
        if self.frozen_embedding:
            self.embedding.requires_grad_(False)

    def train(self, mode: bool = True) -> 'FlowNetS':
        """Keep a frozen embedding in its evaluation mode."""
        super().train(mode)
        if self.frozen_embedding:
            self.embedding.eval()
        return self

    def forward(self, inputs: Tensor, data_samples: Optional[Samples] = None,
                mode: str = 'tensor') -> Union[Tensor, Dict[str, Tensor], List]:
        """Run the network.

        Args:
            inputs: (B, 6, H, W), the first image and the second.
            data_samples: With ``gt_flow`` for 'loss'.
            mode: 'tensor', 'predict' or 'loss'.

        Returns:
            'tensor': the flow (B, 2, H, W) in pixels. 'predict': the samples
            with ``pred_flow``. 'loss': losses, and ``epe`` in pixels for the log.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode not in ('tensor', 'predict'):
            raise ValueError("mode must be 'tensor', 'predict' or 'loss', got "
                             f'{mode!r}.')
        flow = self._full_size(self._flows(inputs)[0][0], inputs)
        if mode == 'tensor':
            return flow
        samples = data_samples or [BaseDataElement() for _ in range(len(flow))]
        for sample, one in zip(samples, flow):
            sample.pred_flow = PixelData(data=one)
        return list(samples)

    def loss(self, inputs: Tensor, data_samples: Samples) -> Dict[str, Tensor]:
        """Return the losses of a batch; see :meth:`forward`."""
        flows, embedding = self._flows(inputs)
        right, bottom = self._margins(inputs)
        target = torch.stack([s.gt_flow.data for s in data_samples]).float()
        known = torch.stack([s.gt_flow.valid for s in data_samples]).squeeze(1)
        losses = self.loss_flow(
            flows, pad(target, (0, right, 0, bottom)) / self.flow_scale,
            pad(known, (0, right, 0, bottom)))
        with torch.no_grad():
            error = end_point_error(self._full_size(flows[0], inputs), target)
            losses['epe'] = error.masked_fill(~known, 0).sum() / \
                known.sum().clamp_min(1)
        if self.loss_embed is not None:
            losses[self.loss_embed.loss_name] = self._embedding_loss(
                embedding, data_samples, (right, bottom))
        return losses

    def _embedding_loss(self, embedding: Tensor, data_samples: Samples,
                        margins: Tuple[int, int]) -> Tensor:
        if not all('gt_layers' in sample for sample in data_samples):
            raise ValueError('loss_embed needs the layers of every pair: load them '
                             'with LoadFlowPair(with_layers=True).')
        layers = torch.stack([s.gt_layers.data for s in data_samples]).squeeze(1)
        layers = pad(layers.long(), (0, margins[0], 0, margins[1]), value=255)
        layers = shrink_labels(layers, embedding.shape[2:])
        return self.loss_embed(embedding, layers, ignore_index=255)

    def _flows(self, inputs: Tensor) -> Tuple[List[Tensor], Optional[Tensor]]:
        """Return the predictions, stride 4 first, and the embedding."""
        if inputs.dim() != 4 or inputs.shape[1] != 6:
            raise ValueError('inputs must have shape (B, 6, H, W), two images, got '
                             f'{tuple(inputs.shape)}.')
        right, bottom = self._margins(inputs)
        images = pad(inputs, (0, right, 0, bottom), mode='replicate')
        if self.embedding is None:
            return self.decoder(self.encoder(images)), None
        embedding = self.embedding(images[:, :3])
        with self.guide.show(embedding) as shown:
            maps = shown.follow(self.encoder(images))
        return self.decoder(maps), embedding

    def _margins(self, inputs: Tensor) -> Tuple[int, int]:
        """Return the pixels to add at the right and at the bottom."""
        height, width = inputs.shape[2:]
        return -width % self.multiple, -height % self.multiple

    def _full_size(self, flow: Tensor, inputs: Tensor) -> Tensor:
        """Return a prediction in pixels, at the size of the images."""
        right, bottom = self._margins(inputs)
        height, width = inputs.shape[2:]
        flow = interpolate(flow.float(), (height + bottom, width + right),
                           mode='bilinear', align_corners=False)
        return flow[..., :height, :width] * self.flow_scale
