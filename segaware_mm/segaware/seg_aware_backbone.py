"""A backbone with an embedding network at its side (Harley et al., ICCV 2017)."""

from typing import Any, Optional, Sequence, Tuple, Union

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from .convert import convert_to_segaware
from .guide import Guide, bind_guide


@MODELS.register_module()
class SegAwareBackbone(BaseModule):
    """Any backbone, with aware convolutions or without, and an embedding.

    The embedding of the image is the last output, so heads find it at index -1;
    the other outputs are the backbone's own, at their places. Registered in mmseg;
    an mmdet config names it ``mmseg.SegAwareBackbone``.

    Args:
        embedding (dict): From image to embedding: :class:`EmbeddingNet`,
            :class:`ColorEmbedding`.
        backbone (dict | None): Any mm backbone; None for the embedding alone.
        convert (Sequence[str] | str | None): Convolutions of the backbone to make
            segmentation-aware: names, or 'all' for every one that can be.
            Convolutions that are aware by ``conv_cfg`` are served anyway.
        conv_options (dict | None): Options of the converted ones: ``hardness``,
            ``norm``, ``border``, ``normalize``, ``impl``.
        frozen_embedding (bool): Do not train the embedding.
        frozen_backbone (bool): Do not train the backbone; its norms keep their
            statistics.
        output_embedding (bool): Append the embedding to the outputs. False for
            what counts its inputs: a neck such as FPN, a detector.
    """

    def __init__(self,
                 embedding: dict,
                 backbone: Optional[dict] = None,
                 convert: Union[None, str, Sequence[str]] = None,
                 conv_options: Optional[dict] = None,
                 frozen_embedding: bool = False,
                 frozen_backbone: bool = False,
                 output_embedding: bool = True,
                 init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.embedding = MODELS.build(embedding)
        self.backbone = None if backbone is None else MODELS.build(backbone)
        self.output_embedding = output_embedding
        if backbone is None and not output_embedding:
            raise ValueError('output_embedding=False needs a backbone: nothing would '
                             'be left.')
        self.guide = Guide()
        if convert is None and conv_options:
            raise ValueError('conv_options are for converted layers: set convert, or '
                             "put them into the backbone's conv_cfg.")
        if convert is not None:
            if self.backbone is None:
                raise ValueError('convert needs a backbone.')
            if isinstance(convert, str) and convert != 'all':
                raise ValueError("convert must be None, 'all' or a list of names, got "
                                 f'{convert!r}.')
            convert_to_segaware(self.backbone,
                                None if convert == 'all' else convert,
                                **(conv_options or {}))
        if self.backbone is not None:
            bind_guide(self.backbone, self.guide)
        self.frozen = [module for module, frozen in
                       ((self.embedding, frozen_embedding),
                        (self.backbone, frozen_backbone))
                       if frozen and module is not None]
        for module in self.frozen:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> 'SegAwareBackbone':
        """Keep frozen parts in their evaluation mode."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """Return the backbone's maps of (B, 3, H, W) and the embedding.

        Raises:
            TypeError: The backbone returns neither a map nor a tuple of maps.
        """
        embedding = self.embedding(image)
        if self.backbone is None:
            return (embedding, )
        with self.guide.show(embedding) as shown:
            maps = shown.follow(self.backbone(image))
        if isinstance(maps, Tensor):
            maps = (maps, )
        if not isinstance(maps, (tuple, list)):
            raise TypeError(f'{type(self.backbone).__name__} must return a map or a '
                            f'tuple of maps, got {type(maps).__name__}.')
        return (*maps, embedding) if self.output_embedding else tuple(maps)
