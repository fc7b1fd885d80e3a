#!/usr/bin/env python
"""Measure a training step and the inference of MNC beside mmdet's detectors.

ResNet-50 with a pyramid, random weights, images and objects; every row in a
process of its own, on the CPU. A step of five-stage MNC is to take at most 1.3
times one of mmdet's Cascade Mask R-CNN with two stages.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bench_rows  # noqa: E402
from bench_measure import Clock, measure  # noqa: E402
from bench_report import ROOT, bullet_list, markdown_table, page  # noqa: E402
from tqdm import tqdm  # noqa: E402

#: Times the step of the first row that a step of 'mnc' may take.
TARGET = 1.3
ROWS = {
    'cascade': 'Cascade Mask R-CNN, two stages (mmdet)',
    'mask-rcnn': 'Mask R-CNN (mmdet)',
    'mnc': 'MNC, five stages',
    'mnc-3stage': 'MNC, three stages',
}
CONFIG = 'configs/mnc/mnc_r50_fpn_8xb2-1x_coco.py'


def extractor(size: int) -> Dict[str, Any]:
    """Return mmdet's usual extractor of a pyramid."""
    return dict(
        type='SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=size, sampling_ratio=0),
        out_channels=256, featmap_strides=[4, 8, 16, 32])


def peer(name: str, model: Any) -> Any:
    """Return the config of mmdet's detector, with MNC's backbone, neck and RPN."""
    cascade = name == 'cascade'
    agnostic = dict(reg_class_agnostic=cascade)
    box = dict(
        type='Shared2FCBBoxHead', in_channels=256, fc_out_channels=1024,
        roi_feat_size=7, num_classes=80, **agnostic,
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[.1, .1, .2, .2]),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False),
        loss_bbox=dict(type='SmoothL1Loss', beta=1.))
    mask = dict(
        type='FCNMaskHead', num_convs=4, in_channels=256, conv_out_channels=256,
        num_classes=80, loss_mask=dict(type='CrossEntropyLoss', use_mask=True))
    model.type = 'CascadeRCNN' if cascade else 'MaskRCNN'
    model.rpn_head.type = 'RPNHead'
    stage = model.train_cfg.rcnn
    stage.mask_size = 28
    head = dict(
        type='CascadeRoIHead' if cascade else 'StandardRoIHead',
        bbox_roi_extractor=extractor(7), mask_roi_extractor=extractor(14),
        bbox_head=[box, box] if cascade else box, mask_head=mask)
    if cascade:
        head.update(num_stages=2, stage_loss_weights=[1, .5])
        model.train_cfg.rcnn = [stage, stage]
    model.roi_head = head
    model.test_cfg.rcnn = dict(
        score_thr=.05, nms=dict(type='nms', iou_threshold=.5), max_per_img=100,
        mask_thr_binary=.5)
    return model


def build(name: str, rois: int) -> Any:
    """Return a detector with random weights."""
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    import segaware_mm  # noqa: F401
    model = Config.fromfile(str(ROOT / CONFIG)).model
    init_default_scope('mmdet')
    model.backbone.init_cfg = None
    model.train_cfg.rcnn.sampler.num = rois
    if not name.startswith('mnc'):
        model = peer(name, model)
    elif name == 'mnc-3stage':
        model.roi_head.num_passes = 1
    return MODELS.build(model)


def batch(size: Sequence[int], objects: int) -> Any:
    """Return an image (1, 3, H, W) and its truth."""
    import numpy as np
    import torch
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData
    rng = np.random.default_rng(0)
    height, width = size
    sides = rng.integers(32, min(size) // 2, (objects, 2))
    corners = (rng.random((objects, 2)) * ([width, height] - sides)).astype(int)
    boxes = np.concatenate([corners, corners + sides], 1)
    masks = np.zeros((objects, height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = 1
    sample = DetDataSample(metainfo=dict(
        img_shape=tuple(size), pad_shape=tuple(size), batch_input_shape=tuple(size),
        ori_shape=tuple(size), scale_factor=(1., 1.), img_id=0))
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes).float(),
        labels=torch.from_numpy(rng.integers(0, 80, objects)),
        masks=BitmapMasks(masks, height, width))
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long),
        masks=BitmapMasks(np.zeros((0, height, width), np.uint8), height, width))
    torch.manual_seed(0)
    return torch.randn(1, 3, height, width), [sample]


def work_on(row: Dict[str, Any]) -> Dict[str, Any]:
    """Measure one row in this process: step and inference."""
    import copy

    import torch
    torch.set_num_threads(row['threads'])
    torch.manual_seed(0)
    model = build(row['name'], row['rois'])
    image, samples = batch(row['size'], row['objects'])

    def step(clock: Clock) -> None:
        with clock('forward'):
            losses = model.loss(image, copy.deepcopy(samples))
            total = sum(sum(v) if isinstance(v, list) else v
                        for k, v in losses.items() if 'loss' in k)
        with clock('backward'):
            total.backward()
        model.zero_grad()

    def infer(clock: Clock) -> None:
        with torch.no_grad(), clock('predict'):
            model.predict(image, copy.deepcopy(samples))

    model.train()
    found = dict(step=measure(step, row['budget'], row['repeats']))
    model.eval()
    found['infer'] = measure(infer, row['budget'], row['repeats'])
    return found


def cells(name: str, found: Dict[str, Any], base: Dict[str, Any]) -> List[str]:
    """Return the cells of a row."""
    if 'error' in found:
        return [ROWS[name]] + ['-'] * 7 + [found['error']]
    step, infer = found['step'], found['infer']
    total = step['total']

    def ratio(key: str) -> str:
        return '-' if 'error' in base else \
            f'{step[key]["median"] / base["step"][key]["median"]:.2f}'

    return [ROWS[name], f'{total["median"]:.3g} ({total["min"]:.3g}-{total["max"]:.3g})',
            ratio('total'), f'{step["cpu"]["median"]:.3g}', ratio('cpu'),
            '-' if step['peak_mb'] is None else f'{step["peak_mb"]:.0f}',
            f'{infer["total"]["median"]:.3g}',
            '-' if infer['peak_mb'] is None else f'{infer["peak_mb"]:.0f}',
            bench_rows.runs_text(step)]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = bench_rows.rows_parser('mnc_steps.py', __doc__, budget=40)
    p.add_argument('--size', type=int, nargs=2, default=[480, 640], metavar=('H', 'W'),
                   help='of the image (default: 480 640)')
    p.add_argument('--rois', type=int, default=128,
                   help='sampled an image, in every stage (default: 128)')
    p.add_argument('--objects', type=int, default=12, help='of the image (default: 12)')
    p.add_argument('--row', help=argparse.SUPPRESS)
    return p


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the benchmark; return the exit code: 0, 1 where a row failed."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(argv)
    if args.row:
        print(json.dumps(work_on(json.loads(args.row))))
        return 0
    out = bench_rows.place('mnc_steps', args.out, save=not args.quick)
    facts = bench_rows.machine('mnc_steps.py', args.threads, argv)
    size, rois = ([96, 128], 16) if args.quick else (args.size, args.rois)
    lines, base, failed = [], None, False
    for name in tqdm(ROWS, unit='row'):
        found = bench_rows.run_row([__file__, '--row'], dict(
            name=name, size=size, rois=rois,
            objects=args.objects, threads=args.threads, budget=args.budget,
            repeats=1 if args.quick else args.repeats))
        base = base or found
        failed |= 'error' in found
        lines.append(cells(name, found, base))
    text = page(
        bench_rows.title('A training step', args.quick),
        bullet_list(facts + [
            f'ResNet-50 with a pyramid, 80 classes, an image of {size[0]}x{size[1]} with '
            f'{args.objects} objects, {rois} sampled RoIs (in a later stage of MNC '
            'those and the true boxes), random weights, float32',
            '*step*: losses and their gradients; median, least and largest; *x*: times '
            'the first row; *peak*: resident memory above what was there before']),
        markdown_table(['', '>step s (least-most)', '>x', '>CPU s', '>x CPU',
                        '>peak MB', '>inference s', '>peak MB', 'remark'], lines),
        f'Target: *MNC, five stages* at most {TARGET} times the first row.')
    bench_rows.finish(text, out)
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
