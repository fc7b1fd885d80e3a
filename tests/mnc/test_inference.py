"""A saved cascade in mmdet's own inference: its functions, and its inferencer."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmdet')
pytest.importorskip('mmdet.apis')

from mnc_models import NAMES, save_detector  # noqa: E402


@pytest.fixture(params=[True, False], ids=['padded', 'stretched'])
def saved(request, tmp_path):
    """Paths of config, checkpoint and an image of 50 x 80."""
    return tuple(map(str, save_detector(tmp_path, keep_ratio=request.param)))


def check(found, count=10):
    """Check the instances of an image of 50 x 80."""
    assert 0 < len(found) <= count
    assert tuple(found.masks.shape) == (len(found), 50, 80)
    assert found.masks.dtype == torch.bool and found.masks.any()
    assert (found.bboxes >= 0).all()
    assert (found.bboxes <= found.bboxes.new_tensor([80, 50, 80, 50])).all()
    assert (found.scores.diff() <= 0).all() and 0 < found.scores.max() <= 1
    assert set(found.labels.tolist()) <= {0, 1, 2}
    # A box is the tight one of its mask.
    for mask, box in zip(found.masks, found.bboxes):
        if mask.any():
            y, x = mask.nonzero().T
            assert box.tolist() == [int(x.min()), int(y.min()), int(x.max()) + 1,
                                    int(y.max()) + 1]


def test_init_and_inference_of_a_detector(saved):
    from mmdet.apis import inference_detector, init_detector
    config, weights, image = saved
    model = init_detector(config, weights, device='cpu')
    assert tuple(model.dataset_meta['classes']) == NAMES
    one = inference_detector(model, image)
    check(one.pred_instances)
    pixels = np.array(Image.open(image))[..., ::-1].copy()
    two, again = inference_detector(model, [pixels, pixels])
    assert torch.equal(two.pred_instances.masks, one.pred_instances.masks)
    torch.testing.assert_close(again.pred_instances.scores, one.pred_instances.scores)


def test_the_inferencer_writes_a_picture_and_the_instances(saved, tmp_path):
    from mmdet.apis import DetInferencer
    config, weights, image = saved
    infer = DetInferencer(config, weights, device='cpu', show_progress=False)
    out = tmp_path / 'out'
    found = infer(image, out_dir=str(out), no_save_pred=False, pred_score_thr=0.)
    (written, ) = (out / 'vis').iterdir()
    with Image.open(written) as picture:
        assert picture.size == (80, 50)
        drawn = np.array(picture.convert('RGB')).astype(int)
    plain = np.array(Image.open(image)).astype(int)
    assert (np.abs(drawn - plain).max(2) > 40).mean() > .1  # it is drawn on
    (listed, ) = found['predictions']
    (file, ) = (out / 'preds').glob('*.json')
    kept = json.loads(file.read_text())
    assert kept['labels'] == listed['labels'] and len(kept['masks']) > 0
    assert kept['masks'][0]['size'] == [50, 80]
