"""One row of the flow table: it is also tested on the real pairs."""

import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import camvid_log
from camvid_config import DATA
from camvid_job import Job, RowError

#: Folder of the real pairs below the data root.
REAL = 'flow'


class FlowJob(Job):
    """A training on procedural pairs; see :class:`camvid_job.Job`.

    Where ``SEGAWARE_MM_DATA`` is not set there are no scores on real pairs.
    """

    keys = ('flow/EPE', 'flow/EPE_boundary', 'flow/above_3px', 'flow/length')

    def headline(self, result: Dict[str, Any]) -> str:
        """Return the score of a result for the screen."""
        return f'EPE {result["scores"]["flow/EPE"]:.3f}'

    def check_inputs(self) -> None:
        """See that the folder of real pairs is there if a data root is named.

        Raises:
            RowError: It is not.
        """
        root = os.environ.get(DATA)
        if root and not (Path(root) / REAL).is_dir():
            raise RowError(f'{DATA} is set to {root}, which has no folder {REAL} with '
                           'real pairs; unset it to train without them')

    def real_test(self, checkpoint: Path, root: str) -> List[str]:
        """The arguments that score a checkpoint on the real pairs below ``root``."""
        dataset = 'test_dataloader.dataset'
        return ['tools/test.py', self.row.config, str(checkpoint), '--work-dir',
                str(self.work_dir / 'real'), '--cfg-options', *self.options,
                f'{dataset}.data_root={root}', f'{dataset}.data_prefix.img_path={REAL}',
                f'{dataset}.dataset_name=None']

    def details(self, test: Callable[[Sequence[str]], None],
                iteration: int) -> Dict[str, Any]:
        """Return ``real``: data set -> its scores; empty without a data root.

        Raises:
            RowError: There is no checkpoint, or the test left no scores.
        """
        root = os.environ.get(DATA)
        if not root:
            return dict(real={})
        found = self.real_scores()
        if found is None:
            checkpoint = camvid_log.whole_checkpoint(self.folder, iteration)
            if checkpoint is None:
                raise RowError(f'no checkpoint of iteration {iteration} in '
                               f'{self.folder}: the real pairs cannot be scored')
            test(self.real_test(checkpoint, root))
            found = self.real_scores()
        if found is None:
            raise RowError(f'the test on real pairs left no scores in {self.folder}')
        return dict(real=found)

    def real_scores(self) -> Optional[Dict[str, Dict[str, float]]]:
        """Return the scores of the last test on real pairs, None without one."""
        entries = [entry for path in sorted(self.folder.glob('real/*/*.json'))
                   for entry in camvid_log.read_json_lines(path)
                   if self.keys[0] in entry]
        if not entries:
            return None
        scores: Dict[str, Dict[str, float]] = {}
        for key, value in entries[-1].items():
            parts = key.split('/')  # flow/NAME/EPE
            if len(parts) == 3:
                scores.setdefault(parts[1], {})[parts[2]] = float(value)
        return scores
