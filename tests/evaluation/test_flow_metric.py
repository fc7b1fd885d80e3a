"""The end-point error metric against hand numbers, and its edges."""

import math

import pytest
import torch

pytest.importorskip('mmengine')

from mmengine.registry import METRICS  # noqa: E402
from mmengine.structures import BaseDataElement, PixelData  # noqa: E402

import segaware_mm  # noqa: E402, F401


def sample(error, target=None, known=None, name='one'):
    """A predicted sample whose end-point error is given, rows of pixels."""
    error = torch.tensor(error, dtype=torch.float32)
    target = torch.zeros_like(error) if target is None else torch.tensor(target)
    valid = torch.ones_like(error, dtype=torch.bool) if known is None else \
        torch.tensor(known)
    truth = torch.stack([target, 0 * target])
    pred = truth.nan_to_num() + torch.stack([0 * error, error])
    found = BaseDataElement(metainfo=dict(dataset_name=name, img_path=f'{name}.png'))
    found.gt_flow = PixelData(data=truth, valid=valid[None])
    found.pred_flow = PixelData(data=pred)
    return found.to_dict()


def evaluate(*samples, **options):
    metric = METRICS.build(dict(type='EndPointErrorMetric', **options))
    for one in samples:
        metric.process(None, [one])
    return metric.evaluate(len(samples))


def test_by_hand():
    """Flow jumps by 2 px between columns 2 and 3; near are columns 1 to 4."""
    row = [0., 0., 0., 2., 2., 2.]
    errors = [[10., 1., 2., 3., 4., 0.]]
    found = evaluate(sample(errors, [row]), boundary_radius=1)
    assert found == pytest.approx({
        'flow/EPE': 20 / 6, 'flow/EPE_boundary': 10 / 4,
        'flow/above_3px': 100 * 2 / 6, 'flow/length': 1.})
    # the boundary itself, two columns
    assert evaluate(sample(errors, [row]), boundary_radius=0)[
        'flow/EPE_boundary'] == 2.5
    assert evaluate(sample(errors, [row]), boundary_radius=10)[
        'flow/EPE_boundary'] == pytest.approx(20 / 6)


def test_radius_is_euclidean():
    target = torch.zeros(9, 9)
    target[4, 4] = 5.
    error = torch.zeros(9, 9)
    error[1, 1] = 1.  # 3 rows and 3 columns from the dot, 3.6 px from its neighbour

    def run(radius):
        return evaluate(sample(error.tolist(), target.tolist()),
                        boundary_radius=radius)['flow/EPE_boundary']
    assert run(3.6) == 0
    assert run(3.7) > 0


def test_unknown_pixels_do_not_count():
    known = [[True, False, True, True]]
    found = evaluate(sample([[1., 100., 3., 5.]], [[0., math.nan, 0., 0.]], known))
    assert found['flow/EPE'] == pytest.approx(3)
    assert found['flow/above_3px'] == pytest.approx(100 / 3)
    assert math.isnan(found['flow/EPE_boundary'])


def test_pixels_of_all_pairs_are_pooled():
    found = evaluate(sample([[1.]]), sample([[4., 4., 4.]]))
    assert found['flow/EPE'] == pytest.approx(13 / 4)


def test_data_sets_are_reported_apart():
    found = evaluate(sample([[1.]], name='a'), sample([[2., 4.]], name='b'),
                     sample([[3.]], name='a'))
    assert found['flow/EPE'] == pytest.approx(10 / 4)
    assert found['flow/a/EPE'] == 2 and found['flow/b/EPE'] == 3
    assert found['flow/b/above_3px'] == 50
    alone = evaluate(sample([[1.]], name='a'), prefix='mine')
    assert set(alone) == {'mine/EPE', 'mine/EPE_boundary', 'mine/above_3px',
                          'mine/length'}


def test_no_known_pixel(caplog):
    found = evaluate(sample([[1.]], known=[[False]], name='a'),
                     sample([[2.]], name='b'))
    assert math.isnan(found['flow/a/EPE']) and math.isnan(found['flow/a/above_3px'])
    assert found['flow/EPE'] == 2
    assert all(math.isnan(v) for v in
               evaluate(sample([[1.]], known=[[False]])).values())


def test_a_prediction_that_is_not_finite_is_an_error():
    broken = sample([[1., 1.]])
    broken['pred_flow']['data'][:, 0, 0] = math.nan
    found = evaluate(broken)
    assert math.isnan(found['flow/EPE'])
    assert found['flow/above_3px'] == 50


def test_other_threshold_and_limit():
    found = evaluate(sample([[1., 2.]], [[0., .5]]), boundary_threshold=.4,
                     large_error=1.5)
    assert found['flow/EPE_boundary'] == 1.5
    assert found['flow/above_1.5px'] == 50


def test_wrong_size_and_arguments():
    wrong = sample([[1., 2.]])
    wrong['pred_flow'] = dict(data=torch.zeros(2, 1, 3))
    with pytest.raises(ValueError, match=r'one.png has shape \(2, 1, 3\).*\(2, 1, 2\)'):
        evaluate(wrong)
    with pytest.raises(ValueError, match='boundary_radius must be 0 or more'):
        evaluate(boundary_radius=-1)
