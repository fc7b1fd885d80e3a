"""The decode heads that are compared, whole and their attention alone.

"Attention" is what a head does between its 3x3 convolutions: the two
attention modules of DAHead, the non-local block of NLHead, the two rounds of
CCHead, gather and object attention of OCRHead; regions, membership and the
three exchanges of RANetHead.
"""

from typing import Any, Callable, List, Sequence, Tuple

import torch
from bench_maps import Maps
from mmseg.models import decode_heads  # noqa: F401  fills the registry
from mmseg.registry import MODELS
from torch import Tensor, nn

import segaware_mm  # noqa: F401  registers RANetHead

RIVALS = ('DAHead', 'NLHead', 'CCHead', 'OCRHead')
OURS = ('RANetHead released', 'RANetHead paper')
NAMES = RIVALS + OURS
NORM = dict(type='BN', requires_grad=True)

Job = Tuple[nn.Module, List[Tensor], Callable[[], Sequence[Tensor]]]


def build_head(name: str, in_channels: int, channels: int,
               classes: int) -> nn.Module:
    """Return a head in training mode, its weights from seed 0.

    OCRHead refines the scores of another head, which comes with it (an
    ``nn.ModuleList`` of FCNHead and OCRHead, as upstream cascades them).

    Raises:
        ValueError: ``name`` is unknown.
    """
    if name not in NAMES:
        raise ValueError(f'head must be one of {", ".join(NAMES)}, got {name!r}')
    torch.manual_seed(0)
    shared = dict(in_channels=in_channels, channels=channels, in_index=0,
                  num_classes=classes, norm_cfg=NORM, dropout_ratio=0.1,
                  align_corners=False)
    if name.startswith('RANetHead'):
        shared.update(in_channels=(in_channels, in_channels), in_index=(0, 1),
                      type='RANetHead',
                      interaction=dict(mode=name.split()[1]))
        return MODELS.build(shared).train()
    if name == 'OCRHead':
        first = dict(shared, type='FCNHead', num_convs=1, concat_input=False)
        second = dict(shared, type=name, ocr_channels=max(1, channels // 2))
        return nn.ModuleList(MODELS.build(c) for c in (first, second)).train()
    own = dict(pam_channels=64) if name == 'DAHead' else {}
    return MODELS.build(dict(shared, type=name, **own)).train()


def logits_of(maps: Maps) -> Tuple[Tensor, Tensor]:
    """Return class logits and (1, 2, H, W) boundary logits of the maps."""
    edge = torch.logit(maps.boundary.clamp(1e-6, 1 - 1e-6))
    return (maps.probs.clamp(min=1e-12).log(),
            torch.stack([torch.zeros_like(edge), edge], 1))


def _pin(layer: nn.Module, wanted: Tensor) -> None:
    """Let a layer do its work and put out ``wanted`` (random weights know no
    regions); the gradient goes on through the layer."""
    layer.register_forward_hook(
        lambda _, __, out: out - out.detach() + wanted)


def whole_head(name: str, in_channels: int, channels: int, size: Tuple[int, int],
               maps: Maps) -> Job:
    """Return a head, its inputs and its forward pass (all its outputs)."""
    head = build_head(name, in_channels, channels, maps.probs.shape[1])
    count = 2 if name in OURS else 1
    inputs = [torch.randn(1, in_channels, *size).requires_grad_()
              for _ in range(count)]
    if name in OURS:
        for layer, wanted in zip((head.aux_conv_seg, head.aux_conv_boundary),
                                 logits_of(maps)):
            _pin(layer, wanted)

    def forward() -> Sequence[Tensor]:
        if name in OURS:
            out = head.forward_all(inputs)
            return (out.logits, out.boundary_logits, out.aux_logits,
                    out.aux_boundary_logits)
        if name == 'OCRHead':
            coarse = head[0](inputs)
            # Upstream hands the coarse scores on with their gradient.
            return coarse, head[1](inputs, coarse)
        out = head(inputs)
        return out if isinstance(out, (tuple, list)) else (out, )

    return head, inputs, forward


def attention_only(name: str, in_channels: int, channels: int,
                   size: Tuple[int, int], maps: Maps) -> Job:
    """Return the attention of a head, its inputs and its forward pass."""
    head: Any = build_head(name, in_channels, channels, maps.probs.shape[1])

    def feature() -> Tensor:
        return torch.randn(1, channels, *size).requires_grad_()

    if name == 'DAHead':
        part, inputs = nn.ModuleList([head.pam, head.cam]), [feature(), feature()]
        return part, inputs, lambda: [m(x) for m, x in zip(part, inputs)]
    if name == 'NLHead':
        part, inputs = head.nl_block, [feature()]
        return part, inputs, lambda: [part(inputs[0])]
    if name == 'CCHead':
        part, inputs, rounds = head.cca, [feature()], head.recurrence

        def criss_cross() -> Sequence[Tensor]:
            x = inputs[0]
            for _ in range(rounds):
                x = part(x)
            return [x]

        return part, inputs, criss_cross
    if name == 'OCRHead':
        scores = logits_of(maps)[0].requires_grad_()
        part, inputs = head[1].object_context_block, [feature(), scores]
        gather = head[1].spatial_gather_module
        return part, inputs, lambda: [part(inputs[0], gather(*inputs))]
    logits = [x.requires_grad_() for x in logits_of(maps)]
    for conv in ('value', 'query', 'after_distribute'):
        if getattr(head.interaction, conv) is not None:
            setattr(head.interaction, conv, nn.Identity())
    part = nn.ModuleList([head.construction, head.interaction])
    inputs = [feature(), *logits]
    return part, inputs, lambda: [part[1](inputs[0], part[0](*inputs[1:]))]
