"""One row of the TransferNet table; its test is repeated with the true labels."""

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import camvid_log
from camvid_job import Job, RowError

#: Scores of a validation, in the order of the table.
KEYS = ('group/mIoU_target', 'group/mIoU_source', 'group/mIoU')
#: Options of a test that is told which labels an image has.
ORACLE = ('model.label_source=gt', )


class TransferJob(Job):
    """A training with masks of some classes; see :class:`camvid_job.Job`."""

    keys = KEYS

    def headline(self, result: Dict[str, Any]) -> str:
        """Return the score of a result for the screen."""
        return f'mIoU of target classes {result["scores"][KEYS[0]]:.2f}'

    def oracle_test(self, checkpoint: Path) -> List[str]:
        """The arguments that test a checkpoint with the true image labels."""
        return ['tools/test.py', self.row.config, str(checkpoint), '--work-dir',
                str(self.work_dir / 'oracle'), '--cfg-options', *self.options, *ORACLE]

    def details(self, test: Callable[[Sequence[str]], None],
                iteration: int) -> Dict[str, Any]:
        """Return ``oracle``: the scores with the true image labels.

        Raises:
            RowError: There is no checkpoint, or the test left no scores.
        """
        found = self.oracle_scores()
        if found is None:
            checkpoint = camvid_log.whole_checkpoint(self.folder, iteration)
            if checkpoint is None:
                raise RowError(f'no checkpoint of iteration {iteration} in '
                               f'{self.folder}')
            test(self.oracle_test(checkpoint))
            found = self.oracle_scores()
        if found is None:
            raise RowError(f'the test with true labels left no scores in {self.folder}')
        return dict(oracle=found)

    def oracle_scores(self) -> Optional[Dict[str, float]]:
        """Return the scores of the last test with true labels, None without one."""
        entries = [entry for path in sorted(self.folder.glob('oracle/*/*.json'))
                   for entry in camvid_log.read_json_lines(path) if KEYS[0] in entry]
        return {key: float(entries[-1][key]) for key in KEYS} if entries else None
