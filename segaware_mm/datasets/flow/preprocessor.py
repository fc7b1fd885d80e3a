"""From a batch of pairs to the tensor that a flow network gets."""

from typing import Any, Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS


@MODELS.register_module()
class FlowDataPreprocessor(BaseDataPreprocessor):
    """Stack pairs (6, H, W), bring both images to RGB, and normalise them.

    Args:
        mean (Sequence[float]): Of red, green, blue, 0..255.
        std (Sequence[float]): As the mean.
        bgr_to_rgb (bool): The images come as BGR.
        non_blocking (bool): As in mmengine.
    """

    def __init__(self, mean: Sequence[float] = (0., 0., 0.),
                 std: Sequence[float] = (255., 255., 255.), bgr_to_rgb: bool = True,
                 non_blocking: bool = False) -> None:
        super().__init__(non_blocking)
        for name, value in (('mean', mean), ('std', std)):
            if len(value) != 3:
                raise ValueError(f'{name} must be three numbers, got {value}.')
            twice = torch.tensor([*value, *value], dtype=torch.float32)
            self.register_buffer(name, twice.view(6, 1, 1), persistent=False)
        self.order = [2, 1, 0, 5, 4, 3] if bgr_to_rgb else list(range(6))

    def forward(self, data: dict, training: bool = False) -> Any:
        """Return the batch with ``inputs`` (B, 6, H, W) float32.

        Args:
            data: With ``inputs``, a sequence of (6, H, W), and maybe
                ``data_samples``.
            training: Not used.

        Raises:
            ValueError: Pairs of different sizes in one batch.
        """
        data = self.cast_data(data)
        inputs = data['inputs']
        sizes = sorted({tuple(one.shape) for one in inputs})
        if len(sizes) > 1 or len(sizes[0]) != 3 or sizes[0][0] != 6:
            raise ValueError(
                f'inputs of a batch must all be (6, H, W) of one size, got {sizes}. '
                'Crop them (FlowRandomCrop), or set batch_size=1.')
        if not isinstance(inputs, torch.Tensor):
            inputs = torch.stack(list(inputs))
        inputs = (inputs.float()[:, self.order] - self.mean) / self.std
        return {**data, 'inputs': inputs,
                'data_samples': data.get('data_samples')}
