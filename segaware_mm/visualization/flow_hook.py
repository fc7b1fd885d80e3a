"""Pictures of predicted flow while a model is tested."""

import os.path as osp
from typing import Any, Sequence

import mmcv
import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from .flow_panel import flow_panel


@HOOKS.register_module()
class FlowVisualizationHook(Hook):
    """Write image, true flow and predicted flow of tested pairs, side by side.

    ``tools/test.py --show-dir FOLDER`` turns it on.

    Args:
        draw (bool): Whether to draw at all.
        interval (int): Draw every ``interval``-th batch.
        show (bool): Show the pictures on the screen.
        wait_time (float): Seconds per shown picture.
    """

    priority = 'NORMAL'

    def __init__(self, draw: bool = False, interval: int = 1, show: bool = False,
                 wait_time: float = 0.) -> None:
        if interval < 1:
            raise ValueError(f'interval must be 1 or more, got {interval}.')
        self.draw = draw
        self.interval = interval
        self.show = show
        self.wait_time = wait_time

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None,
                        outputs: Sequence[Any] = ()) -> None:
        """Draw the pairs of a batch."""
        if not self.draw or batch_idx % self.interval:
            return
        for sample in outputs:
            image = mmcv.imread(sample.img_path)[..., ::-1]
            truth = known = None
            if 'gt_flow' in sample:
                truth = _array(sample.gt_flow.data)
                known = _array(sample.gt_flow.valid)[..., 0]
            picture = flow_panel(image, _array(sample.pred_flow.data), truth, known)
            stem = osp.splitext(osp.basename(sample.img_path))[0]
            name = f'{sample.get("dataset_name", "flow")}_{stem}'
            runner.visualizer.add_image(name, picture, step=batch_idx)
            if self.show:
                runner.visualizer.show(picture, win_name=name,
                                       wait_time=self.wait_time)


def _array(planes: Any) -> np.ndarray:
    """Return a tensor (C, H, W) as an array (H, W, C)."""
    return planes.detach().cpu().numpy().transpose(1, 2, 0)
