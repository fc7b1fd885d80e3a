#!/usr/bin/env python
"""Measure what the settings of a test take: windows, scales, mirrored views.

Time and peak memory of one image on the CPU, every row in a process of its own, with the
initial weights of a config.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bench_rows  # noqa: E402
from bench_measure import measure  # noqa: E402
from bench_report import bullet_list, markdown_table, page  # noqa: E402
from tqdm import tqdm  # noqa: E402

CONFIG = 'configs/ranet/ranet_r18-d16_1xb4-600i_camvid-360x480.py'
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
#: Name -> (in windows, scales, mirrored views too).
ROWS = {
    'whole': (False, (1., ), False),
    'windows': (True, (1., ), False),
    'whole, flip': (False, (1., ), True),
    'whole, scales': (False, SCALES, False),
    'whole, scales, flip': (False, SCALES, True),
    'windows, scales, flip': (True, SCALES, True),
}


def work_on(row: Dict[str, Any]) -> Dict[str, Any]:
    """Test one image in this process; return what was measured."""
    import numpy as np
    import torch
    from mmengine.config import Config
    from mmengine.dataset import Compose, pseudo_collate
    from mmengine.registry import MODELS, init_default_scope
    from PIL import Image

    from segaware_mm.engine.prepare import use_plain_batchnorm
    torch.set_num_threads(row['threads'])
    torch.manual_seed(0)
    slide, scales, flip = ROWS[row['name']]
    cfg = Config.fromfile(row['config'])
    init_default_scope('mmseg')
    use_plain_batchnorm(cfg)
    height, width = row['size']
    cfg.model.test_cfg = dict(mode='whole') if not slide else dict(
        mode='slide', crop_size=(height // 2, width // 2),
        stride=(height // 3, width // 3))
    model = MODELS.build(dict(type='SegTTAModel', module=cfg.model)).eval()
    views = [[dict(type='Resize', scale_factor=one, keep_ratio=True) for one in scales],
             [dict(type='RandomFlip', prob=one, direction='horizontal')
              for one in ((0., 1.) if flip else (0., ))],
             [dict(type='PackSegInputs')]]
    pipeline = Compose([dict(type='LoadImageFromFile'),
                        dict(type='TestTimeAug', transforms=views)])
    with TemporaryDirectory() as folder, torch.no_grad():
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        for name, part in (('image', noise), ('small', noise[:64, :64])):
            Image.fromarray(part).save(f'{folder}/{name}.png')

        def test(name: str) -> Any:
            sample = pipeline(dict(img_path=f'{folder}/{name}.png', seg_fields=[]))
            return model.test_step(pseudo_collate([sample]))[0].pred_sem_seg.data

        def step(_: Any) -> None:
            assert test('image').shape[-2:] == (height, width)

        test('small')  # numba may compile, and that takes memory too
        return measure(step, row['budget'], row['repeats'])


def cells(name: str, found: Dict[str, Any], views: int) -> List[str]:
    """Return the cells of a row."""
    if 'error' in found:
        return [name, str(views), '-', found['error'], '0']
    peak = found['peak_mb']
    return [name, str(views), f'{found["total"]["median"]:.2f}',
            '-' if peak is None else f'{peak:.0f}', str(found['runs'])]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = bench_rows.rows_parser('test_time.py', __doc__, budget=20, threads=1, repeats=5,
                               unsaved_with='--quick or --only')
    p.add_argument('--config', default=CONFIG, help='of mmseg (default: %(default)s)')
    p.add_argument('--size', type=int, nargs=2, default=[360, 480], metavar=('H', 'W'),
                   help='of the image (default: 360 480)')
    p.add_argument('--only', nargs='+', choices=list(ROWS), default=list(ROWS),
                   metavar='ROW', help='these rows (default: all)')
    p.add_argument('--row', help=argparse.SUPPRESS)
    return p


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the benchmark; return the exit code: 0, 1 where a row failed."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(argv)
    if args.row:
        print(json.dumps(work_on(json.loads(args.row))))
        return 0
    out = bench_rows.place('test_time', args.out,
                           save=not args.quick and args.only == list(ROWS))
    height, width = [64, 96] if args.quick else args.size
    facts = [
        *bench_rows.machine('test_time.py', args.threads, argv),
        f'{Path(args.config).stem}, initial weights, one image of {height} x {width}; '
        f'windows of {height // 2} x {width // 2}, strides {height // 3} and '
        f'{width // 3}; scales {", ".join(map(str, SCALES))}',
        'peak: resident memory above that of the built model; median of the times',
    ]
    lines, failed = [], False
    for name in tqdm(args.only, unit='row'):
        found = bench_rows.run_row([__file__, '--row'], dict(
            name=name, config=args.config, size=[height, width], threads=args.threads,
            budget=args.budget, repeats=1 if args.quick else args.repeats))
        failed |= 'error' in found
        _, scales, flip = ROWS[name]
        lines.append(cells(name, found, len(scales) * (1 + flip)))
    table = markdown_table(
        ['', '>views', '>s an image', '>peak MB', '>timed runs'], lines)
    title = bench_rows.title('Settings of a test', args.quick)
    text = page(title, bullet_list(facts), table)
    bench_rows.finish(text, out)
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
