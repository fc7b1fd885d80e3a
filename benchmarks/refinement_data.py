"""The images of a config, and the logits of a trained FCN on them, kept on disk.

The logits are kept at the head's own size, float32, before they are enlarged:
C x h x w numbers an image, some ten to hundred kB.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence

import numpy as np
import torch
from bench_report import write_text
from camvid_job import RowError
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.models.utils import resize
from mmseg.registry import DATASETS, MODELS
from torch import Tensor, nn
from tqdm import tqdm


class Sample(NamedTuple):
    """An image as the methods need it.

    Attributes:
        name: Of the file, without its end.
        pixels: (H, W, 3) uint8 RGB.
        inputs: (1, 3, H, W), as the data preprocessor gives it.
        label: (H, W) int64.
    """
    name: str
    pixels: np.ndarray
    inputs: Tensor
    label: np.ndarray


def load_model(config: str, checkpoint: str) -> nn.Module:
    """Build the model of a config, in evaluation mode, with these weights."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = MODELS.build(cfg.model)
    load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    return model.eval()


class Images:
    """A split of a config's dataset, loaded by its test pipeline.

    Args:
        config: Path of the config.
        split: 'train' or 'val'.
        count: Take so many, evenly spread; 0 takes all.
    """

    def __init__(self, config: str, split: str, count: int = 0) -> None:
        cfg = Config.fromfile(config)
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        node = cfg[f'{split}_dataloader'].dataset
        node.pipeline = cfg.val_dataloader.dataset.pipeline
        node.test_mode = False
        self.split = split
        self.dataset = DATASETS.build(node)
        self.classes: Sequence[str] = self.dataset.metainfo['classes']
        self.preprocess = MODELS.build(cfg.model.data_preprocessor)
        size = len(self.dataset)
        count = min(count, size) or size
        self.places: List[int] = [k * size // count for k in range(count)]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Sample]:
        for place in self.places:
            item = self.dataset[place]
            batch = self.preprocess(
                dict(inputs=[item['inputs']], data_samples=[item['data_samples']]),
                False)
            sample = item['data_samples']
            yield Sample(
                Path(sample.img_path).stem,
                np.ascontiguousarray(item['inputs'].permute(1, 2, 0).numpy()[..., ::-1]),
                batch['inputs'],
                sample.gt_sem_seg.data[0].numpy().astype(np.int64))


class Logits:
    """Logits of a trained FCN, computed once.

    Args:
        config, checkpoint: Of the FCN.
        folder: Where they are kept.

    Attributes:
        source: What they were computed from.
    """

    def __init__(self, config: str, checkpoint: str, folder: Path) -> None:
        self.config, self.checkpoint, self.folder = config, checkpoint, folder
        self.source = dict(config=Path(config).name, weights=file_hash(checkpoint))
        self.align_corners = Config.fromfile(config).model.decode_head.align_corners
        found = folder / 'source.json'
        if found.is_file() and json.loads(found.read_text()) != self.source:
            raise RowError(f'{folder} holds logits of another checkpoint or config; '
                           'move it away or give another --work-dir')

    def prepare(self, images: Images) -> None:
        """Compute the logits that are missing."""
        wanted = [k for k, name in enumerate(names(images)) if not self.path(
            images.split, name).is_file()]
        if not wanted:
            return
        model = load_model(self.config, self.checkpoint)
        write_text(self.folder / 'source.json', json.dumps(self.source, indent=1))
        for k, sample in enumerate(tqdm(images, f'logits of {images.split}')):
            if k not in wanted:
                continue
            start = time.perf_counter()
            with torch.no_grad():
                logits = model.decode_head(model.extract_feat(sample.inputs))
                resize(logits, sample.label.shape, mode='bilinear',
                       align_corners=self.align_corners)
            seconds = time.perf_counter() - start
            save_arrays(self.path(images.split, sample.name),
                        logits=logits[0].numpy(), seconds=np.float64(seconds))

    def path(self, split: str, name: str) -> Path:
        """Return the file of an image."""
        return self.folder / split / f'{name}.npz'

    def seconds(self, images: Images) -> List[float]:
        """Return how long the FCN took for every image."""
        return [float(np.load(self.path(images.split, name))['seconds'])
                for name in names(images)]

    def of(self, images: Images, sample: Sample) -> Tensor:
        """Return (1, C, H, W) logits at the image's size."""
        kept = torch.from_numpy(np.load(self.path(images.split, sample.name))['logits'])
        return resize(kept[None], sample.label.shape, mode='bilinear',
                      align_corners=self.align_corners)


def names(images: Images) -> List[str]:
    """Return the names of the images, without loading them."""
    return [Path(images.dataset.get_data_info(place)['img_path']).stem
            for place in images.places]


def file_hash(path: str) -> str:
    """Return the first digits of a file's SHA-256."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()[:16]


def save_arrays(path: Path, **arrays: Any) -> None:
    """Write an .npz that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        with open(part, 'wb') as file:
            np.savez(file, **arrays)
        os.replace(part, path)
    finally:
        if part.exists():
            part.unlink()


def read_json(path: Path) -> Dict[str, Any]:
    """Return what a file holds, nothing where it is absent."""
    return json.loads(path.read_text()) if path.is_file() else {}
