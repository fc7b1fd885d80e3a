"""Mean average precision of image labels."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmseg.registry import METRICS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.evaluation.multi_label_metric import average_precision  # noqa: E402

NAMES = ('background', 'cat', 'dog', 'cow')


def by_definition(scores, positive):
    """Every threshold, one by one."""
    total, recall_before = 0., 0.
    for threshold in sorted(set(scores.tolist()), reverse=True):
        taken = scores >= threshold
        precision = positive[taken].mean()
        recall = positive[taken].sum() / positive.sum()
        total += (recall - recall_before) * precision
        recall_before = recall
    return total


@pytest.mark.parametrize('seed', range(6))
def test_average_precision_by_definition(seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(40) < 0.3
    positive[0] = True
    smooth, tied = rng.random(40), rng.integers(0, 5, 40) / 4
    for scores in (smooth, tied):
        assert average_precision(scores, positive) == pytest.approx(
            by_definition(scores, positive))


def test_average_precision_by_hand():
    right = np.array([1, 0, 1, 0], bool)
    # hits at rank 1 and 3: (1/1 + 2/3) / 2
    assert average_precision(np.array([.9, .8, .7, .6]), right) == pytest.approx(5 / 6)
    assert average_precision(np.array([.9, .1, .8, .2]), right) == 1
    # All equal: precision is the share of positives, whatever their order.
    assert average_precision(np.ones(4), right) == average_precision(
        np.ones(4), right[::-1]) == 0.5
    assert np.isnan(average_precision(np.ones(3), np.zeros(3)))
    assert average_precision(np.ones(1), np.ones(1)) == 1


def sample(scores, labels, label_set=None, **kwargs):
    meta = dict(image_labels=np.array(labels, np.int64), img_path='x.jpg', **kwargs)
    if label_set is not None:
        meta['label_set'] = label_set
    out = SegDataSample(metainfo=meta)
    out.set_data(dict(pred_label_scores=torch.as_tensor(scores)))
    return out.to_dict()


def evaluate(samples, **kwargs):
    metric = METRICS.build(dict(type='MultiLabelMetric', **kwargs))
    metric.dataset_meta = dict(classes=NAMES)
    for one in samples:
        metric.process({}, [one])
    return metric.evaluate(len(samples))


def test_mean_over_classes():
    got = evaluate([
        sample([.9, .9, .1], [1]), sample([.8, .2, .1], [2]),
        sample([.7, .1, .9], [1, 3]), sample([.6, .0, .1], [])], classwise=True)
    assert got['multi_label/AP_cat'] == pytest.approx(100 * 5 / 6)
    assert got['multi_label/AP_dog'] == pytest.approx(50)
    assert got['multi_label/AP_cow'] == pytest.approx(100)
    assert got['multi_label/mAP'] == pytest.approx(100 * (5 / 6 + .5 + 1) / 3)


def test_a_class_that_is_not_annotated_is_no_negative():
    """The second image shows a cat perhaps; nobody has looked."""
    certain = sample([.5, .5, .5], [1, 2], (1, 2, 3))
    unknown = sample([.9, .9, .1], [], (2, 3))
    got = evaluate([certain, unknown], classwise=True)
    assert got['multi_label/AP_cat'] == 100
    assert got['multi_label/AP_dog'] == 50  # a cat may be unknown, a dog is absent
    everywhere = evaluate([certain, sample([.9, .9, .1], [])], classwise=True)
    assert everywhere['multi_label/AP_cat'] == 50


def test_classes_without_positives_are_left_out_and_named(monkeypatch):
    texts = []
    monkeypatch.setattr('segaware_mm.evaluation.multi_label_metric.print_log',
                        lambda text, logger: texts.append(text))
    got = evaluate([sample([.9, .5, .5], [1], (1, 2)), sample([.1, .5, .5], [], (1, ))])
    assert got == {'multi_label/mAP': 100}
    assert 'not counted, shown by no image: dog' in texts[0]
    assert 'not counted, annotated in no image: cow' in texts[0]
    assert '| cat' in texts[0].replace('|  ', '| ') and '100.00' in texts[0]
    assert np.isnan(evaluate([sample([.9, .5, .5], [])])['multi_label/mAP'])


def test_results_of_two_processes_are_joined():
    """One result an image, so that mmengine can join and cut them."""
    samples = [sample(np.random.default_rng(i).random(3), [i % 3 + 1])
               for i in range(7)]
    parts = []
    for rank in range(2):
        metric = METRICS.build(dict(type='MultiLabelMetric'))
        metric.dataset_meta = dict(classes=NAMES)
        metric.process({}, samples[rank::2])
        parts.append(metric.results)
    assert [len(part) for part in parts] == [4, 3]
    joined = metric.compute_metrics(parts[0] + parts[1])
    assert joined['mAP'] == pytest.approx(evaluate(samples)['multi_label/mAP'])


def test_half_precision_scores():
    got = evaluate([sample(torch.tensor([.9, .5, .1]).to(dtype), [1])
                    for dtype in (torch.float16, torch.bfloat16)])
    assert got['multi_label/mAP'] == 100


@pytest.mark.parametrize('scores, labels, kwargs, text', [
    ([.1, .2], [1], {}, r'x.jpg have the shape \(2,\); the data set has 3 classes'),
    ([.1, .2, np.nan], [1], {}, 'pred_label_scores of x.jpg are not finite'),
    ([.1, .2, .3], [4], {}, 'image_labels of x.jpg has the id 4; ids are 1 to 3'),
    ([.1, .2, .3], [0], {}, 'image_labels of x.jpg has the id 0'),
    ([.1, .2, .3], [1], dict(label_set=(2, 9)), 'label_set of x.jpg has the id 9'),
    ([.1, .2, .3], [1], dict(label_set=(2, )), 'the label 1, which is not in its label_'),
])
def test_wrong_samples(scores, labels, kwargs, text):
    with pytest.raises(ValueError, match=text):
        evaluate([sample(scores, labels, **kwargs)])


def test_absent_parts():
    whole = sample([.1, .2, .3], [1])
    for key, text in (('pred_label_scores', 'no pred_label_scores: the model must'),
                      ('image_labels', 'no image_labels: put LoadImageLabels into')):
        with pytest.raises(ValueError, match=text):
            evaluate([{k: v for k, v in whole.items() if k != key}])
    with pytest.raises(ValueError, match='needs the classes of the data set'):
        METRICS.build(dict(type='MultiLabelMetric')).process({}, [whole])
