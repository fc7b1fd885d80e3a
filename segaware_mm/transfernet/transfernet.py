"""TransferNet: segment classes whose masks were never seen, given image labels.

Hong, Oh, Lee, Han, "Learning Transferrable Knowledge for Semantic Segmentation with Deep
Convolutional Neural Network" (CVPR 2016). Masks of some classes (source) teach one
decoder to turn "where" into a figure; labels of images (source and target) teach the
attention that says where. An encoder runs once an image; everything behind it runs for
every pair of image and label, some pairs at a time.

Label ids are those of the maps: 0 background, 1..N. Shapes: B images, P pairs, h x w the
encoder's map, H x W the image.
"""

from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..ops.checks import check_choice, check_number
from .image_frame import image_size, resized, to_image, valid_positions
from .label_merge import (
    LabelMerge,
    check_bg_factor,
    check_labels,
    choose_labels,
    foreground_probability,
)
from .pairs import (
    check_maps,
    collect_pairs,
    labels_of,
    name_of,
    pair_targets,
    stack_maps,
)
from .switched_maps import SwitchedMaps
from .targets import count_pixels
from .transfernet_head import PairTerms, TransferNetHead

SOURCES = ('classifier', 'gt', 'cls_head')
POST_IMAGES = ('input', 'file')
#: Probability above which a pixel is figure.
FIGURE = 0.5


@MODELS.register_module()
class TransferNet(BaseSegmentor):
    """Segmentor of pairs of image and label.

    Training reads of every sample's metainfo ``condition_label`` (one pair) or
    ``image_labels`` (all of them), and ``gt_sem_seg``, whose pixels of 255 have no
    say: the map of an image without mask is 255 everywhere. A frozen encoder
    (``frozen=True`` of its own) keeps nothing for the backward pass. Where every
    position of the encoder's map sees the whole image, as those of VGG-16 do in images
    of 64 pixels, attention recognises a label anywhere and learns no place.

    Tests fill ``pred_sem_seg`` (ids, at the size of the image) and
    ``pred_label_scores`` (N,), unless labels were given to a head that cannot tell them.

    Args:
        backbone (dict): An encoder that returns :class:`SwitchedMaps`.
        decode_head (dict): :class:`TransferNetHead`.
        classifier (dict | None): :class:`MultiLabelClassifier`, trained by itself; it
            is frozen here, reads the same inputs, and has a checkpoint of its own
            through ``init_cfg``.
        label_source (str): Where the labels of a test image come from. 'classifier':
            the classifier's scores. 'gt': ``image_labels`` of the metainfo (oracle).
            'cls_head': the head's own classifier, asked for every label at the
            context which that label attends to; no second network. Without
            ``loss_presence`` it has never seen an absent label: each looks where it
            finds itself most, and absent ones score high more often.
        label_thr (float): Labels with at least this score are taken; the best one
            where there is none.
        eval_labels (Sequence[int] | None): Ids that may be found, such as
            ``range(1, 21)`` for VOC; all where None. A metric of fewer classes than
            the model has drops predictions of others silently.
        bg_factor (float): Factor of the odds of the ground, see
            :mod:`segaware_mm.transfernet.label_merge`.
        post (dict | None): Says which pixels are figure in place of a probability of
            more than 1/2: :class:`DenseCRF`.
        post_image (str): The image that ``post`` sees: 'input' (the network's input,
            brought to the size of the image) or 'file' (``img_path``, sharper where
            the input is smaller; as published).
        pair_chunk (int): Pairs of a test image that are decoded at once.
        train_chunk (int | None): Pairs of a batch that are decoded at once in training;
            where there are more, what stands between encoder and loss is computed
            again in the backward pass, a chunk at a time: memory of one chunk, a
            third more time. Batch norms in the decoder then see one chunk at a time,
            twice. None: all together.
        mask_padding (bool): No attention to what padding added; the released
            network lets it take part.
        with_scores (bool): Results also have ``seg_logits`` (N + 1, H, W), the
            scores that compete (not logits): p of the labels that are there, 0
            elsewhere and where not figure; of the background 1 - the largest p where
            no label wins.
        data_preprocessor, init_cfg: As in ``BaseSegmentor``.
        train_cfg, test_cfg (dict | None): Kept; nothing in them is read.

    Raises:
        TypeError, ValueError: A value out of its range, or parts that do not fit.
    """

    def __init__(self,
                 backbone: dict,
                 decode_head: dict,
                 classifier: Optional[dict] = None,
                 label_source: str = 'classifier',
                 label_thr: float = 0.6,
                 eval_labels: Optional[Sequence[int]] = None,
                 bg_factor: float = 0.5,
                 post: Optional[dict] = None,
                 post_image: str = 'input',
                 pair_chunk: int = 2,
                 train_chunk: Optional[int] = None,
                 mask_padding: bool = False,
                 with_scores: bool = False,
                 data_preprocessor: Optional[dict] = None,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[Any] = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        check_choice('label_source', label_source, SOURCES)
        check_choice('post_image', post_image, POST_IMAGES)
        check_number('label_thr', label_thr, 0, 1)
        check_bg_factor(bg_factor)
        check_number('pair_chunk', pair_chunk, 1, integer=True)
        if train_chunk is not None:
            check_number('train_chunk', train_chunk, 1, integer=True)
        self.backbone = MODELS.build(backbone)
        self.decode_head: TransferNetHead = MODELS.build(decode_head)
        self.classifier = None if classifier is None else MODELS.build(classifier)
        self._check_classifier(label_source)
        self.label_source = label_source
        self.label_thr = label_thr
        self.eval_labels = check_labels(eval_labels, self.num_labels)
        self.bg_factor = bg_factor
        self.post = None if post is None else MODELS.build(post)
        self.post_image = post_image
        self.pair_chunk = pair_chunk
        self.train_chunk = train_chunk
        self.mask_padding = mask_padding
        self.with_scores = with_scores
        self.align_corners = self.decode_head.align_corners
        self.num_classes = self.decode_head.num_classes
        self.train_cfg, self.test_cfg = train_cfg, test_cfg

    def _check_classifier(self, label_source: str) -> None:
        if self.classifier is None:
            if label_source == 'classifier':
                raise ValueError("label_source='classifier' needs a classifier; give "
                                 "one, or take 'cls_head' (the head's own) or 'gt'.")
            return
        found = self.classifier.num_classes
        if found != self.decode_head.num_classes:
            raise ValueError(f'classifier has num_classes={found}, decode_head '
                             f'{self.decode_head.num_classes}; both count the '
                             'background.')
        self.classifier.requires_grad_(False)

    @property
    def num_labels(self) -> int:
        """N."""
        return self.decode_head.num_labels

    def train(self, mode: bool = True) -> 'TransferNet':
        """Set the mode; the classifier stays in evaluation mode."""
        super().train(mode)
        if self.classifier is not None:
            self.classifier.eval()
        return self

    def extract_feat(self, inputs: Tensor) -> SwitchedMaps:
        """Return the encoder's map and switches."""
        return SwitchedMaps.of(self.backbone(inputs))

    def valid(self, maps: SwitchedMaps, inputs: Tensor,
              metas: Sequence[dict]) -> Optional[Tensor]:
        """Return (B, 1, h, w) bool, where the images are; None if all take part."""
        if not self.mask_padding:
            return None
        size = tuple(maps.feature.shape[2:])
        found = [valid_positions(size, tuple(inputs.shape[2:]), meta) for meta in metas]
        return torch.stack(found).to(maps.feature.device)

    # ----------------------------------------------------------------- training

    def loss(self, inputs: Tensor, data_samples: List[SegDataSample]
             ) -> Dict[str, Tensor]:
        """Return the losses of a batch; 0 with a live graph where it has no pairs.

        Raises:
            KeyError, ValueError: A sample without labels, labels or masks with
                classes that must not be there; names the image.
        """
        head, ignored = self.decode_head, self.decode_head.ignore_index
        metas = [sample.metainfo for sample in data_samples]
        pairs = collect_pairs(metas, self.num_labels, inputs.device, head.num_absent)
        seg = stack_maps(data_samples, ignored)
        if seg is not None:
            check_maps(seg, metas, self.num_labels, ignored)
        maps = self.extract_feat(inputs)
        count = len(pairs.labels)
        if not count:
            return head.no_losses(maps)
        valid = self.valid(maps, inputs, metas)
        terms, chunk = [], self.train_chunk or count
        for start in range(0, count, chunk):
            part = pairs.part(start, start + chunk)
            targets = None if seg is None else \
                pair_targets(seg, part.of_present(), metas, ignored)
            work = (maps, part.images, part.labels, targets, valid, part.present)
            terms.append(head.pair_terms(*work) if count <= chunk else
                         PairTerms(*checkpoint(head.pair_terms, *work,
                                               use_reentrant=False)))
        rows = pairs.of_present().images
        pixels = 0 if seg is None else count_pixels(seg, ignored)[rows].sum()
        return head.losses(terms, pixels)

    # --------------------------------------------------------------------- tests

    @torch.no_grad()
    def predict(self, inputs: Tensor,
                data_samples: Optional[List[SegDataSample]] = None
                ) -> List[SegDataSample]:
        """Return the samples with ``pred_sem_seg``; an image without labels is all
        background.

        Raises:
            KeyError, ValueError: Labels are to be given and a sample has none.
        """
        if data_samples is None:
            data_samples = [SegDataSample() for _ in inputs]
        metas = [sample.metainfo for sample in data_samples]
        maps = self.extract_feat(inputs)
        valid = self.valid(maps, inputs, metas)
        labels, scores = self.find_labels(inputs, maps, metas, valid)
        for row, sample in enumerate(data_samples):
            found, table = self.segment(inputs, maps, row, labels[row], metas[row], valid,
                                        self.with_scores)
            sample.set_data(dict(pred_sem_seg=PixelData(data=found[None])))
            if table is not None:
                sample.set_data(dict(seg_logits=PixelData(data=table)))
            if scores is not None:
                sample.set_data(dict(pred_label_scores=scores[row]))
        return data_samples

    def find_labels(self, inputs: Tensor, maps: SwitchedMaps, metas: Sequence[dict],
                    valid: Optional[Tensor] = None, source: Optional[str] = None
                    ) -> Tuple[List[List[int]], Optional[Tensor]]:
        """Return the ids of the labels of every image, and the scores (B, N).

        Where labels are given, scores are None unless the head has ``loss_presence``.

        Args:
            inputs: (B, 3, H', W').
            maps: Of the encoder.
            metas: Of the samples.
            valid: Of :meth:`valid`.
            source: In place of ``label_source``.
        """
        source = source or self.label_source
        allowed = self.eval_labels
        if source == 'gt':
            found = [labels_of(meta, self.num_labels, sampled=False) for meta in metas]
            found = [sorted(set(one) & set(allowed)) for one in found]
            if self.decode_head.loss_presence is None:
                return found, None
            return found, self.head_scores(maps, valid)
        if source == 'classifier':
            scores = self.classifier.label_scores(inputs)
        else:
            scores = self.head_scores(maps, valid)
        return [choose_labels(one, self.label_thr, allowed) for one in scores], scores

    def head_scores(self, maps: SwitchedMaps, valid: Optional[Tensor] = None) -> Tensor:
        """Return the head's scores (B, N) of ``eval_labels``, 0 of the others."""
        count = len(maps.feature)
        scores = maps.feature.new_zeros(count, self.num_labels, dtype=torch.float32)
        places = torch.as_tensor(self.eval_labels, device=scores.device) - 1
        for row in range(count):
            where = None if valid is None else valid[row:row + 1]
            scores[row, places] = self.decode_head.label_scores(
                maps.feature[row:row + 1], self.eval_labels, where)
        return scores

    def figures(self, maps: SwitchedMaps, row: int, labels: Sequence[int],
                input_size: Sequence[int], meta: dict,
                valid: Optional[Tensor] = None) -> Iterator[Tuple[List[int], Tensor]]:
        """Yield some ids and their figures (K, H, W), probabilities, chunk by chunk.

        Args:
            maps: Of the batch.
            row: The image.
            labels: Its ids.
            input_size: (H', W') of the inputs.
            meta: Of the sample.
            valid: Of :meth:`valid`.
        """
        one = maps if len(maps.feature) == 1 else maps.select([row])
        valid = None if valid is None else valid[row:row + 1]
        for start in range(0, len(labels), self.pair_chunk):
            ids = list(labels[start:start + self.pair_chunk])
            scores = self.decode_head.scores_of_image(
                one, torch.as_tensor(ids, device=maps.feature.device), valid)
            probability = foreground_probability(scores, self.bg_factor)[:, None]
            yield ids, to_image(probability, input_size, meta, self.align_corners)[:, 0]

    def segment(self, inputs: Tensor, maps: SwitchedMaps, row: int,
                labels: Sequence[int], meta: dict, valid: Optional[Tensor] = None,
                with_scores: bool = False) -> Tuple[Tensor, Optional[Tensor]]:
        """Return the ids (H, W) of an image; and its scores, if wanted.

        Never are the maps of more labels there than of one chunk, unless the scores
        of all are wanted.
        """
        input_size = tuple(inputs.shape[2:])
        size = image_size(input_size, meta)
        merge = LabelMerge(size, inputs.device)
        table = best = image = None
        if with_scores:
            table = torch.zeros(self.num_classes, *size, device=inputs.device)
            best = torch.zeros(size, device=inputs.device)
        for ids, probability in self.figures(maps, row, labels, input_size, meta, valid):
            if self.post is None:
                scores = probability * (probability > FIGURE)
            else:
                image = self.pixels(inputs[row], meta, size) if image is None else image
                scores = probability * self.post(probability, image)
            merge.add(scores, ids)
            if table is not None:
                table[ids] = scores.to(table.dtype)
                best = torch.maximum(best, probability.amax(0).to(best.dtype))
        if table is not None:
            table[0] = torch.where(merge.label == 0, 1 - best, table[0])
        return merge.label, table

    def pixels(self, image: Tensor, meta: dict, size: Sequence[int]) -> Tensor:
        """Return the image (3, H, W) in grey values, for ``post``."""
        if self.post_image == 'file':
            import mmcv
            if not meta.get('img_path'):
                raise ValueError("post_image='file' needs img_path in the metainfo of "
                                 f'{name_of(meta)}; post_image=\'input\' does not.')
            found = mmcv.imread(meta['img_path'])
            grey = torch.from_numpy(found).permute(2, 0, 1).to(image.device).float()
            return resized(grey[None], size)[0]
        normal = self.data_preprocessor
        if getattr(normal, 'mean', None) is not None:
            image = image * normal.std + normal.mean
        return to_image(image[None].float(), image.shape[1:], meta)[0]

    # ------------------------------------------------------------ mmseg's interface

    @torch.no_grad()
    def encode_decode(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Return the scores that compete, (B, N + 1, H', W') at the inputs' size."""
        maps = self.extract_feat(inputs)
        valid = self.valid(maps, inputs, batch_img_metas)
        labels, _ = self.find_labels(inputs, maps, batch_img_metas, valid)
        return torch.stack([self.segment(inputs, maps, row, one, {}, valid, True)[1]
                            for row, one in enumerate(labels)])

    def _forward(self, inputs: Tensor,
                 data_samples: Optional[List[SegDataSample]] = None) -> Tensor:
        """Return scores of ground and figure (P, 2, ...) of the samples' pairs, for
        mode 'tensor'; without samples of the first label of every image."""
        maps = self.extract_feat(inputs)
        metas = [dict(condition_label=self.eval_labels[0])] * len(inputs) \
            if data_samples is None else [sample.metainfo for sample in data_samples]
        pairs = collect_pairs(metas, self.num_labels, inputs.device)
        return self.decode_head(maps, pairs.images, pairs.labels,
                                self.valid(maps, inputs, metas))
