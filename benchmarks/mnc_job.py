"""One row of the MNC table: it is also tested in other ways."""

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import camvid_log
from camvid_job import Job, RowError
from mnc_rows import VARIANTS, Variant

#: Scores of a validation, in the order of the table.
KEYS = ('coco/segm_mAP', 'coco/segm_mAP_50', 'coco/bbox_mAP', 'voc_inst/mAPr@0.5',
        'voc_inst/mAPr@0.7', 'voc_inst/mAPr_vol')


class MNCJob(Job):
    """A training of a detector; see :class:`camvid_job.Job`."""

    keys = KEYS

    def headline(self, result: Dict[str, Any]) -> str:
        """Return the score of a result for the screen."""
        return f'mask AP {100 * result["scores"]["coco/segm_mAP"]:.2f}'

    def variant_test(self, checkpoint: Path, variant: Variant) -> List[str]:
        """The arguments that test a checkpoint in another way."""
        return ['tools/test.py', self.row.config, str(checkpoint), '--work-dir',
                str(self.work_dir / folder_name(variant)), '--cfg-options',
                *self.options, *variant.options]

    def details(self, test: Callable[[Sequence[str]], None],
                iteration: int) -> Dict[str, Any]:
        """Return scores of the variants, seconds an image, memory, earlier scores.

        Raises:
            RowError: There is no checkpoint, or a test left no scores.
        """
        facts = dict(seconds_per_image=seconds_per_image(self.folder),
                     history=self.history(), variants={})
        if self.row.is_peer:
            return facts
        checkpoint = camvid_log.whole_checkpoint(self.folder, iteration)
        if checkpoint is None:
            raise RowError(f'no checkpoint of iteration {iteration} in {self.folder}')
        for variant in VARIANTS:
            found = self.variant_scores(variant)
            if found is None:
                test(self.variant_test(checkpoint, variant))
                found = self.variant_scores(variant)
            if found is None:
                raise RowError(f'the test "{variant.name}" left no scores in '
                               f'{self.folder}')
            facts['variants'][variant.name] = found
        return facts

    def history(self) -> Dict[str, float]:
        """Return the mask AP of every validation, by iteration."""
        return {str(entry['step']): float(entry[KEYS[0]])
                for entry in camvid_log.training_entries(self.folder)
                if KEYS[0] in entry}

    def variant_scores(self, variant: Variant) -> Optional[Dict[str, float]]:
        """Return the scores of the last test of a variant, None without one."""
        entries = [entry for path in sorted(
            (self.folder / folder_name(variant)).glob('*/*.json'))
            for entry in camvid_log.read_json_lines(path) if KEYS[0] in entry]
        return {key: float(entries[-1][key]) for key in KEYS} if entries else None


def folder_name(variant: Variant) -> str:
    """Return 'three-stages-voting'."""
    return variant.name.replace(',', '').replace(' ', '-')


def seconds_per_image(folder: Path) -> Optional[float]:
    """Return the time of an image in the last validation, s."""
    times = [float(entry['time']) for entry in camvid_log.training_entries(folder)
             if KEYS[0] in entry and 'time' in entry]
    return times[-1] if times else None
