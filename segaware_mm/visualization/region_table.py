"""Command line of ``tools/region_stats.py``: how images fall into regions at
several thresholds, one line each."""

import argparse
import sys
from statistics import mean, median
from typing import Dict, List, Optional, Sequence

import numpy as np
from mmengine.logging import MMLogger

from ..engine.cli import KeyValueAction, run_tool
from ..engine.errors import ConfigError
from ..evaluation.region_statistics import RegionStatistics, region_statistics
from ..ops.region_attention import construct_regions
from ..ranet.ranet_head import RANetHead
from ..utils.progress import progress_bar
from .draw import subject_of
from .load import check_image, load_image, load_model
from .registry import Subject, family_of

THRESHOLDS = (0.8, 0.9, 0.95, 0.97, 0.99)
HEADING = f'{"threshold":>9}  {"regions":>7}  {"largest %":>9}  {"purity %":>8}'
NOTES = """
regions: median number of an image. largest: share of the largest region, mean
of the images. purity: share of the labelled pixels whose class is the most
frequent one of their region; of the images that the config's datasets know.
Small regions are pure of themselves: of two thresholds of one purity take that
with fewer regions. * is the threshold of the config.
"""


def statistics_of(subject: Subject, head: RANetHead,
                  threshold: float) -> RegionStatistics:
    """Return the statistics of one image, at the pixels of the image.

    Args:
        subject: The image, and what the head computed for it.
        head: Divergence and lines are its own.
        threshold: Of the similarity.
    """
    made = head.construction
    probs = subject.output.aux_logits.float().softmax(1)
    boundary = subject.output.aux_boundary_logits.float().softmax(1)[:, 1]
    labels = construct_regions(probs, boundary, threshold,
                               divergence=made.divergence, line=made.line,
                               impl=made.impl)
    cells = labels.view(1, 1, *subject.output.regions.shape).double()
    regions = subject.frame.maps(cells, 'nearest')[0].numpy().astype(np.int64)
    return region_statistics(regions, subject.truth, subject.ignore_index)


def line_of(threshold: float, found: Sequence[RegionStatistics],
            mark: str = '') -> str:
    """Return one line of the table.

    Args:
        threshold: Of the similarity.
        found: One of each image.
        mark: Behind the threshold.
    """
    labelled = sum(one.labelled or 0 for one in found)
    purity = '-'
    if labelled:
        purity = f'{100 * sum(one.pure or 0 for one in found) / labelled:.1f}'
    return (f'{f"{mark}{threshold:g}":>9}  '
            f'{median(one.regions for one in found):>7g}  '
            f'{100 * mean(one.largest for one in found):>9.1f}  {purity:>8}')


def tabulate(args: argparse.Namespace) -> List[str]:
    """Return the lines of the table.

    Raises:
        ConfigError: The model has no RANetHead.
        DataError: An image cannot be read.
    """
    for path in args.images:
        check_image(path)
    loaded = load_model(args.config, args.checkpoint, args.cfg_options)
    head = family_of(loaded.model)[1]
    if not isinstance(head, RANetHead):
        raise ConfigError(f'{args.config}: {type(head).__name__} builds no regions; '
                          'wanted is a model with a RANetHead.')
    own = head.construction.threshold
    wanted = sorted({*(args.thresholds or THRESHOLDS), own})
    found: Dict[float, List[RegionStatistics]] = {key: [] for key in wanted}
    for path in progress_bar(iterable=args.images, desc='regions', unit='image',
                             leave=False):
        subject = subject_of(loaded, load_image(loaded, path))
        for threshold in wanted:
            found[threshold].append(statistics_of(subject, head, threshold))
    return [HEADING, *(line_of(key, found[key], '*' if key == own else '')
                       for key in wanted)]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog='region_stats.py', epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Count the regions of a trained RANet at several thresholds')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file of weights')
    parser.add_argument('images', nargs='+', metavar='image', help='image files')
    parser.add_argument('--thresholds', nargs='+', type=float, metavar='T',
                        help="default: 0.8 0.9 0.95 0.97 0.99; the config's own "
                        'is added')
    parser.add_argument(
        '--cfg-options', nargs='+', action=KeyValueAction, metavar='KEY=VALUE',
        help='change settings of the config')
    parser.set_defaults(local_rank=0)
    return parser


def work(args: argparse.Namespace) -> None:
    """Print the table."""
    MMLogger.get_current_instance().setLevel('WARNING')
    try:
        print('\n'.join(tabulate(args)), flush=True)
    except KeyboardInterrupt:
        print('\nstopped; nothing was written', file=sys.stderr)
        raise SystemExit(130) from None


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``tools/region_stats.py``; return its exit code."""
    return run_tool(work, build_parser().parse_args(argv))
