"""The rows of the CamVid table: a config, options on top of it, a label.

RANet's rows name every setting that they compare, so that they stay what they
are when the defaults of the config change.
"""

from typing import Dict, NamedTuple, Tuple

HEAD = 'model.decode_head'
RANET = 'configs/ranet/ranet_r18-d16_1xb4-600i_camvid-360x480.py'
SKIP = 'configs/transfernet/fcn-8s_r18_1xb4-600i_camvid-360x480.py'
DECONV = 'configs/transfernet/deconvnet_r18_1xb4-600i_camvid-360x480.py'
PEER = 'configs/peers/{}_r18-d16_1xb4-600i_camvid-360x480.py'


class Row(NamedTuple):
    """One training.

    Attributes:
        name: Also the name of its work dir.
        label: What the table says about it.
        config: Path in the project.
        options: ``--cfg-options``, key -> text.
        is_peer: Another head, to be compared with.
    """
    name: str
    label: str
    config: str
    options: Tuple[Tuple[str, str], ...] = ()
    is_peer: bool = False


def _weights(**weights: float) -> Dict[str, str]:
    """Options that give the losses of these names these weights."""
    return {
        f'{HEAD}.loss_{loss}.{key}': value
        for loss, weight in weights.items()
        for key, value in (('type', 'CrossEntropyLoss'),
                           ('loss_weight', str(weight)),
                           ('avg_non_ignore', 'True'))
    }


#: The published system: both maps of stride 16, unscaled scores, a
#: convolution over the raster order of the representatives.
RELEASED = {
    f'{HEAD}.in_index': '(2,2)',
    f'{HEAD}.in_channels': '(256,256)',
    f'{HEAD}.interaction.mode': 'released',
    f'{HEAD}.interaction.scale': '1',
    f'{HEAD}.interaction.representative_kernel': '3',
    f'{HEAD}.interaction.zero_init': 'False',
    f'{HEAD}.construction.threshold': '0.8',
    f'{HEAD}.construction.num_representatives': '8',
    f'{HEAD}.construction.divergence': 'bernoulli',
    f'{HEAD}.construction.line': 'interpolated',
    **_weights(decode=1., aux=.4, boundary=.2, aux_boundary=.08),
}
#: Regions from the map of stride 8, scores scaled by 1 / sqrt(M), a 1x1
#: convolution over representatives.
STRIDE8 = {
    **RELEASED,
    f'{HEAD}.in_index': '(1,2)',
    f'{HEAD}.in_channels': '(128,256)',
    f'{HEAD}.interaction.scale': 'sqrt',
    f'{HEAD}.interaction.representative_kernel': '1',
}
#: Classes from layer 3, features from layers 2 and 3, all at stride 8.
FUSED = {
    **STRIDE8,
    f'{HEAD}.in_index': '(2,(1,2))',
    f'{HEAD}.in_channels': '(256,(128,256))',
}
#: Three units of class losses in all, as many as DAHead's three branches have.
STRONG = {
    **FUSED,
    **_weights(decode=2., aux=1., boundary=.6, aux_boundary=.24)
}
#: The context starts at zero.
GENTLE = {**STRONG, f'{HEAD}.interaction.zero_init': 'True'}
#: At 0.8 the maps of so short a training fall into one or two regions.
FINE = {**GENTLE, f'{HEAD}.construction.threshold': '0.97'}
#: A peer on the same features as FUSED: layers 2 and 3, at stride 8.
PEER_FUSED = {
    f'{HEAD}.in_index': '(1,2)',
    f'{HEAD}.in_channels': '(128,256)',
    f'{HEAD}.input_transform': 'resize_concat',
}
LONG = {
    'train_cfg.max_iters': '1200',
    'train_cfg.val_interval': '1200',
    'param_scheduler.0.end': '1200',
}


def _peer(name: str, label: str, **options: str) -> Row:
    return Row(name, label, PEER.format(name), tuple(options.items()), True)


def _ranet(name: str, label: str, base: Dict[str, str], **changes: str) -> Row:
    """A row of RANet; ``changes`` are keys of the head, '__' for '.'."""
    options = dict(base)
    options.update((f'{HEAD}.{key.replace("__", ".")}', value)
                   for key, value in changes.items())
    return Row(f'ranet-{name}', label, RANET, tuple(options.items()))


ROWS: Tuple[Row, ...] = (
    _peer('fcn', 'FCNHead'),
    Row('fcn-8s', 'FCN-8s: scores of layers 2 and 3 added at stride 8', SKIP, (), True),
    Row('deconvnet', 'DeconvNet: unpooled to stride 4 by switches', DECONV, (), True),
    _peer('psp', 'PSPHead'),
    _peer('ocr', 'OCRHead'),
    _peer('da', 'DAHead'),
    Row('fcn-fused', 'FCNHead on layers 2 and 3 at stride 8',
        PEER.format('fcn'), tuple(PEER_FUSED.items()), True),
    Row('da-fused', 'DAHead on layers 2 and 3 at stride 8', PEER.format('da'),
        tuple(PEER_FUSED.items()), True),
    _ranet('released', 'RANet as released: stride 16, scale 1, kernel 3',
           RELEASED),
    _ranet('released-sqrt', 'released, scores scaled by 1/sqrt(M)', RELEASED,
           interaction__scale='sqrt'),
    _ranet('stride8', 'A: regions at stride 8, 1/sqrt(M), kernel 1', STRIDE8),
    _ranet('paper', 'A, mode paper', STRIDE8, interaction__mode='paper'),
    _ranet('fused', 'B: A, classes from layer 3, features from layers 2 and 3',
           FUSED),
    _ranet('strong', 'C: B, loss weights 2, 1, 0.6, 0.24', STRONG),
    _ranet('zero-init', 'D: C, context starts at zero', GENTLE),
    _ranet('threshold-0.9', 'D, threshold 0.9', GENTLE,
           construction__threshold='0.9'),
    _ranet('threshold-0.97', 'E: D, threshold 0.97', FINE),
    _ranet('threshold-0.99', 'D, threshold 0.99', GENTLE,
           construction__threshold='0.99'),
    _ranet('fine-paper', 'E, mode paper', FINE, interaction__mode='paper'),
    _ranet('fine-k4', 'E, 4 representatives a region', FINE,
           construction__num_representatives='4'),
    _ranet('fine-k16', 'E, 16 representatives a region', FINE,
           construction__num_representatives='16'),
    _ranet('fine-no-boundary', 'E, without the two boundary losses', FINE,
           loss_boundary__loss_weight='0.0',
           loss_aux_boundary__loss_weight='0.0'),
    _ranet('fine-jensen-shannon', 'E, Jensen-Shannon divergence', FINE,
           construction__divergence='jensen_shannon'),
    _ranet('fine-tree', 'E, tree lines', FINE, construction__line='tree'),
    Row('ranet-1200i', 'E, 1200 iterations', RANET,
        tuple({**FINE, **LONG}.items())),
    Row('da-1200i', 'DAHead, 1200 iterations', PEER.format('da'),
        tuple(LONG.items()), True),
)
