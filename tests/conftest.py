"""Fixtures that all test rooms share.

``tests`` is also the name of a package that mmsegmentation installs, so
nothing here can be imported; what is shared is a fixture.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
from copy import deepcopy
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np
import pytest
from memory_program import PEAK_MEMORY
from PIL import Image

# Processes of `make test` share the cores; before torch is imported, which counts them.
WORKERS = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 0))
if WORKERS:
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, os.cpu_count() // WORKERS)))

REPO = Path(__file__).resolve().parents[1]
CLASSES = ('back', 'disc', 'bar', 'corner')

TINY_CROP = (32, 32)
TINY_PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=TINY_CROP),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
TINY_MODEL = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[64.0] * 3,
        bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=TINY_CROP),
    backbone=dict(
        type='ResNet', depth=18, base_channels=8, num_stages=3,
        strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2),
        norm_cfg=dict(type='SyncBN', requires_grad=True), norm_eval=False),
    decode_head=dict(
        type='FCNHead', in_channels=32, in_index=2, channels=16, num_convs=1,
        dropout_ratio=0.5, num_classes=len(CLASSES), align_corners=False,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

STATUS = Path('/proc/self/status')

MEMORY_PROGRAM = PEAK_MEMORY + """
import torch
torch.set_num_threads(1)
{setup}
start = start_peak()
{work}
print(peak_mb(start))
"""


@pytest.fixture(autouse=True)
def own_default_scope() -> Iterator[None]:
    """Forget the default scope that a test's Runner leaves behind.

    A run of an mmdet config would else decide where later tests look up names.
    """
    yield
    registry = sys.modules.get('mmengine.registry')
    if registry is not None:
        registry.DefaultScope._instance_dict.clear()


SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Refuse a test that leaves a signal handler behind.

    Forked workers inherit it: one that answers SIGTERM with an exception may
    outlive ``Pool.terminate``, and the test that forked it waits for ever.
    """
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    left = [(number, signal.getsignal(number)) for number in SIGNALS]
    for number, handler in zip(SIGNALS, before):
        if handler is not None:  # None: set by other code than Python's
            signal.signal(number, handler)
    assert [handler for _, handler in left] == before, left


@pytest.fixture(scope='session')
def repo() -> Path:
    """The root of the project."""
    return REPO


@pytest.fixture
def real_data() -> Path:
    """The folder of real data; skips where SEGAWARE_MM_DATA names none."""
    root = os.environ.get('SEGAWARE_MM_DATA')
    if not root:
        pytest.skip('SEGAWARE_MM_DATA names no folder of real data')
    if not Path(root).is_dir():  # a slip, which must not look like a pass
        pytest.fail(f'SEGAWARE_MM_DATA is {root}, which is no folder.')
    return Path(root)


@pytest.fixture
def tiny_data(tmp_path: Path) -> Callable[..., Path]:
    """Write a small dataset; ``tiny_data(train=8, val=2)`` returns its root.

    Layout: ``images/{train,val}/NN.png``, ``annotations/{train,val}/NN.png``,
    40 x 48 pixels, labels 0..3.
    """

    def write(train: int = 8, val: int = 2, root: Optional[Path] = None) -> Path:
        root = root or tmp_path / 'tiny'
        rng = np.random.default_rng(0)
        y, x = np.mgrid[:40, :48]
        for split, count in (('train', train), ('val', val)):
            for kind in ('images', 'annotations'):
                (root / kind / split).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                label = np.zeros((40, 48), np.uint8)
                cy, cx, r = rng.integers(8, 32, 3)
                label[(y - cy)**2 + (x - cx)**2 < (r / 2)**2] = 1
                label[:, cx:cx + 3] = 2
                label[-6:, -6:] = 3
                color = rng.integers(0, 255, (4, 3))[label]
                noisy = np.clip(color + rng.normal(0, 20, color.shape), 0, 255)
                Image.fromarray(noisy.astype(np.uint8)).save(
                    root / 'images' / split / f'{i:02d}.png')
                Image.fromarray(label).save(
                    root / 'annotations' / split / f'{i:02d}.png')
        return root

    return write


def _loader(root: Path, split: str, batch: int, workers: int,
            pipeline: List[dict]) -> Dict[str, Any]:
    """Return a dataloader config over a part of the tiny dataset."""
    train = split == 'train'
    return dict(
        batch_size=batch,
        num_workers=workers,
        persistent_workers=workers > 0,
        sampler=dict(
            type='InfiniteSampler' if train else 'DefaultSampler',
            shuffle=train),
        dataset=dict(
            type='BaseSegDataset',
            data_root=str(root),
            data_prefix=dict(
                img_path=f'images/{split}', seg_map_path=f'annotations/{split}'),
            img_suffix='.png',
            metainfo=dict(classes=CLASSES),
            pipeline=pipeline))


@pytest.fixture
def tiny_config(tmp_path: Path, tiny_data: Callable) -> Callable[..., Path]:
    """Write a config that trains in a second or two per ten iterations.

    ``tiny_config(iters=12, workers=0, options=dict(...), name='tiny')``
    returns its path. ``options`` is merged into it (``a.b`` keys, as
    ``--cfg-options``); ``model`` replaces the model; ``root`` the dataset.
    """
    from mmengine.config import Config

    def write(iters: int = 12, workers: int = 0, batch: int = 2,
              options: Optional[dict] = None, model: Optional[dict] = None,
              root: Optional[Path] = None, name: str = 'tiny') -> Path:
        root = root or tiny_data()
        test_pipeline = [TINY_PIPELINE[0], TINY_PIPELINE[1], TINY_PIPELINE[-1]]
        val = _loader(root, 'val', 1, workers, test_pipeline)
        cfg = Config(dict(
            default_scope='mmseg',
            custom_imports=dict(
                imports=['segaware_mm'], allow_failed_imports=False),
            data_root=str(root),
            model=deepcopy(model or TINY_MODEL),
            train_dataloader=_loader(root, 'train', batch, workers, TINY_PIPELINE),
            val_dataloader=val,
            test_dataloader=deepcopy(val),
            val_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']),
            test_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']),
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='SGD', lr=0.02, momentum=0.9)),
            param_scheduler=[
                dict(type='PolyLR', power=0.9, begin=0, end=iters, by_epoch=False)
            ],
            train_cfg=dict(
                type='IterBasedTrainLoop', max_iters=iters, val_interval=4),
            val_cfg=dict(type='ValLoop'),
            test_cfg=dict(type='TestLoop'),
            default_hooks=dict(
                logger=dict(
                    type='LoggerHook', interval=1, log_metric_by_epoch=False),
                checkpoint=dict(
                    type='CheckpointHook', by_epoch=False, interval=4)),
            log_processor=dict(by_epoch=False, window_size=1),
            randomness=dict(seed=3),
            env_cfg=dict(
                mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
                dist_cfg=dict(backend='nccl')),
            visualizer=dict(
                type='SegLocalVisualizer',
                vis_backends=[dict(type='LocalVisBackend')])))
        cfg.merge_from_dict(options or {})
        path = tmp_path / f'{name}.py'
        cfg.dump(str(path))
        return path

    return write


@pytest.fixture
def run_command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Run a command as a user does; ``run_command('tools/train.py', CONFIG)``.

    A first word ending in ``.py`` is run by this interpreter, one in ``.sh``
    by bash. The folder is ``tmp_path``, the environment this one's with the
    project (and ``path``) on PYTHONPATH and one thread per process.
    """

    def run(script: str, *args: Any, timeout: float = 300, path: Any = tmp_path,
            **environment: str) -> subprocess.CompletedProcess:
        first = [sys.executable] if script.endswith('.py') else ['bash']
        env = dict(os.environ, PYTHONPATH=f'{REPO}{os.pathsep}{path}',
                   PYTHON=sys.executable, OMP_NUM_THREADS='1',
                   PYTHONWARNINGS='ignore', **environment)
        return subprocess.run(
            first + [str(REPO / script), *map(str, args)], cwd=tmp_path,
            env=env, timeout=timeout, text=True, capture_output=True)

    return run


@pytest.fixture
def losses() -> Callable[..., Dict[int, float]]:
    """Read ``{iteration: loss}`` from a work dir; later runs overwrite.

    ``losses(work_dir, last=True)`` reads the last run alone.
    """

    def read(work_dir: Path, last: bool = False) -> Dict[int, float]:
        found: Dict[int, float] = {}
        logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
        for log in logs[-1:] if last else logs:
            for line in log.read_text().splitlines():
                entry = json.loads(line)
                if 'loss' in entry:
                    found[entry['step']] = entry['loss']
        return found

    return read


@pytest.fixture
def peak_memory() -> Callable[[str, str], float]:
    """Return MB that ``work`` needs beyond what is there after ``setup``.

    Both are programs; ``work`` runs once. What ``work`` allocates counts, its
    results too. What they print is left out.
    """
    if not STATUS.exists():
        pytest.skip('needs /proc/self/status')

    def measure(setup: str, work: str) -> float:
        program = MEMORY_PROGRAM.format(setup=textwrap.dedent(setup),
                                        work=textwrap.dedent(work))
        return float(_last_line(program))

    return measure


def _last_line(program: str) -> str:
    out = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(program)],
        capture_output=True, text=True, check=True).stdout
    return out.splitlines()[-1]


@pytest.fixture
def last_line() -> Callable[[str], str]:
    """Return the last line that a program prints in a process of its own.

    The forks of the toolboxes print lines of their own when they are imported.
    """
    return _last_line
