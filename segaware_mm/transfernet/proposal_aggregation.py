"""Segment an image by the boxes of its objects: DeconvNet's inference.

Noh, Hong, Han (ICCV 2015), section 4.2: every proposal is cropped, resized to the
size the network was trained at and segmented; the score maps are joined in the frame
of the image. Shapes: B batch, R proposals, C classes, H x W image.
"""

from typing import Any, Dict, Iterator, List, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor

from ..ops.checks import check_choice, check_number, check_size
from ..ops.score_aggregation import MODES, aggregate_scores, box_windows
from .proposal_file import ProposalFile


@MODELS.register_module()
class ProposalAggregation(EncoderDecoder):
    """``EncoderDecoder`` that is tested on proposals instead of the whole image.

    Training, and the names of weights, are those of ``EncoderDecoder``, so a
    checkpoint trained by it is tested by this. ``seg_logits`` of the result are the
    joined scores; their softmax is the published probability map.

    Args:
        proposals (str): File of boxes, see :class:`ProposalFile`. It is read when
            the first image comes.
        mode (str): 'max' or 'mean' of the score maps.
        topk (int): Boxes of an image that are used, best first.
        crop_size (int | tuple[int, int]): To which proposals are resized.
        context (float): Sides of the crop over those of the box, at least 1; parts
            outside the image are cut off.
        chunk (int): Proposals that go through the network together.
        **kwargs: As in ``EncoderDecoder``.
    """

    def __init__(self,
                 proposals: str,
                 mode: str = 'max',
                 topk: int = 50,
                 crop_size: Union[int, Sequence[int]] = 224,
                 context: float = 1.0,
                 chunk: int = 8,
                 **kwargs: Any) -> None:
        check_choice('mode', mode, MODES)
        check_number('topk', topk, 1, integer=True)
        check_number('context', context, 1)
        check_number('chunk', chunk, 1, integer=True)
        super().__init__(**kwargs)
        self.proposals = ProposalFile(proposals)
        self.mode = mode
        self.topk = topk
        self.crop_size = check_size('crop_size', crop_size)
        self.context = context
        self.chunk = chunk

    def inference(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Return the joined scores (B, C, H, W) of images (B, 3, H, W).

        Raises:
            ValueError: The file of proposals has no entry for an image, or the
                image has no path.
        """
        return torch.stack([self.segment(image, meta)
                            for image, meta in zip(inputs, batch_img_metas)])

    def segment(self, image: Tensor, meta: Dict[str, Any]) -> Tensor:
        """Return the joined scores (C, H, W) of one image (3, H, W)."""
        shape = tuple(meta.get('img_shape', image.shape[1:])[:2])
        boxes = self.proposals.boxes(meta.get('img_path'))[:self.topk]
        boxes = boxes_on_input(torch.from_numpy(boxes).to(image), meta, shape)
        windows = box_windows(widened(boxes, self.context), shape)
        return aggregate_scores(self.scores(image, windows, meta), self.out_channels,
                                image.shape[1:], self.mode, like=image)

    def scores(self, image: Tensor, windows: Tensor, meta: Dict[str, Any]
               ) -> Iterator[Tuple[Tensor, Tensor]]:
        """Yield scores (r, C, h, w) and windows (r, 4), a chunk at a time."""
        for part in windows.split(self.chunk):
            crops = torch.cat([
                F.interpolate(image[None, :, y1:y2, x1:x2], self.crop_size,
                              mode='bilinear', align_corners=False)
                for x1, y1, x2, y2 in part.tolist()]) if len(part) else None
            if crops is not None:
                size = torch.Size(self.crop_size)
                crop_meta = {**meta, 'img_shape': size, 'pad_shape': size}
                yield self.encode_decode(crops, [crop_meta] * len(crops)), part


def boxes_on_input(boxes: Tensor, meta: Dict[str, Any],
                   shape: Tuple[int, int]) -> Tensor:
    """Return boxes of the original image where the network's input has them.

    Args:
        boxes: (R, 4) in pixels of the original image.
        meta: ``scale_factor`` (x, y), ``flip`` and ``flip_direction``, if any.
        shape: (H, W) of the input, without padding.
    """
    x, y = meta.get('scale_factor') or (1., 1.)
    boxes = boxes * boxes.new_tensor([x, y, x, y])
    if meta.get('flip'):
        direction = meta.get('flip_direction', 'horizontal')
        if direction in ('horizontal', 'diagonal'):
            boxes[:, [0, 2]] = shape[1] - boxes[:, [2, 0]]
        if direction in ('vertical', 'diagonal'):
            boxes[:, [1, 3]] = shape[0] - boxes[:, [3, 1]]
    return boxes


def widened(boxes: Tensor, context: float) -> Tensor:
    """Return boxes (R, 4) of sides ``context`` times as long, around their centres."""
    more = (boxes[:, 2:] - boxes[:, :2]) * ((context - 1) / 2)
    return torch.cat([boxes[:, :2] - more, boxes[:, 2:] + more], 1)
