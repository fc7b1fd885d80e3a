"""What a decode head gives, beneath the differences between upstream's heads.

``forward`` of most returns logits, of some (DAHead, EncHead) a tuple that begins
with them; a head whose losses want more than ``forward`` returns has
``forward_all``, whose result has ``logits`` (RANetHead). Heads of a cascade take
the output before theirs.
"""

from typing import Any, Dict, List, Sequence, Tuple

from torch import Tensor, nn


def head_outputs(head: nn.Module, inputs: Sequence[Tensor], *previous: Any) -> Any:
    """Return what ``head.loss_by_feat`` wants, by one forward pass."""
    run = getattr(head, 'forward_all', head.forward)
    return run(inputs, *previous)


def logits_of(outputs: Any) -> Tensor:
    """Return the logits (B, C, h, w) among a head's outputs."""
    if isinstance(outputs, (tuple, list)):
        return logits_of(outputs[0])
    return outputs if isinstance(outputs, Tensor) else outputs.logits


def shares_its_pass(segmentor: nn.Module) -> bool:
    """Whether losses and logits of a segmentor can come from one forward pass.

    That is so for ``EncoderDecoder`` itself with a head whose loss is upstream's
    usual one, or made of ``forward_all``.
    """
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead
    from mmseg.models.segmentors import EncoderDecoder
    kind = type(segmentor)
    names = ('loss', 'encode_decode', '_decode_head_forward_train')
    if not isinstance(segmentor, EncoderDecoder) or any(
            getattr(kind, name) is not getattr(EncoderDecoder, name)
            for name in names):
        return False
    head = segmentor.decode_head
    return isinstance(head, BaseDecodeHead) and (
        hasattr(head, 'forward_all')
        or type(head).loss is BaseDecodeHead.loss)


def losses_and_outputs(segmentor: nn.Module, inputs: Tensor,
                       samples: List) -> Tuple[Dict[str, Tensor], Any]:
    """Return the losses that ``segmentor.loss`` returns, and its head's outputs.

    Args:
        segmentor: One for which :func:`shares_its_pass`.
        inputs: (B, 3, H, W).
        samples: With labels.
    """
    from mmseg.utils import add_prefix
    features = segmentor.extract_feat(inputs)
    outputs = head_outputs(segmentor.decode_head, features)
    losses = add_prefix(
        segmentor.decode_head.loss_by_feat(outputs, samples), 'decode')
    if segmentor.with_auxiliary_head:
        losses.update(segmentor._auxiliary_head_forward_train(features, samples))
    return losses, outputs
