"""One row of the TransferNet table; its test is repeated with the true labels."""

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import camvid_log
from camvid_job import Job, RowError
from transfer_rows import CAM_THRESHOLDS, WITH_SOURCE

#: Mean IoU of target classes, of source classes, of all with the background.
TARGET, SOURCE, ALL = 'group/mIoU_target', 'group/mIoU_source', 'group/mIoU'
#: Options of a test that is told which labels an image has.
GIVEN = ('model.label_source=gt', )


class TransferJob(Job):
    """A training with masks of some classes; see :class:`camvid_job.Job`."""

    @property
    def keys(self) -> Sequence[str]:
        """Scores of a validation, those that its data set has."""
        with_source = any(f'-{data}' in self.name for data in WITH_SOURCE)
        return (TARGET, SOURCE, ALL) if with_source else (TARGET, ALL)

    def headline(self, result: Dict[str, Any]) -> str:
        """Return the score of a result for the screen."""
        return f'mIoU of target classes {result["found"][TARGET]:.2f}'

    def details(self, test: Callable[[Sequence[str]], None],
                iteration: int) -> Dict[str, Any]:
        """Return the scores with labels ``found`` and labels ``given``, and the
        threshold of activation maps that was best on these images.

        Raises:
            RowError: There is no checkpoint, or a test left no scores.
        """
        if not self.row.name.startswith('cam'):
            return dict(threshold=None, found=self.tested(test, iteration, 'found'),
                        given=self.tested(test, iteration, 'given', *GIVEN))
        given = {one: self.tested(test, iteration, f'given-{one}', *GIVEN,
                                  f'model.cam_thr={one}') for one in CAM_THRESHOLDS}
        best = max(given, key=lambda one: given[one][TARGET])
        found = self.tested(test, iteration, f'found-{best}', f'model.cam_thr={best}')
        return dict(threshold=best, found=found, given=given[best])

    def tested(self, test: Callable[[Sequence[str]], None], iteration: int, name: str,
               *options: str) -> Dict[str, float]:
        """Return the scores of a test with options; run it where it left none."""
        scores = self.scores_of(name)
        if scores is None:
            checkpoint = camvid_log.whole_checkpoint(self.folder, iteration)
            if checkpoint is None:
                raise RowError(f'no checkpoint of iteration {iteration} in '
                               f'{self.folder}')
            test(self.test_command(checkpoint, name, *options))
            scores = self.scores_of(name)
        if scores is None:
            raise RowError(f'the test "{name}" left no scores in {self.folder}')
        return scores

    def test_command(self, checkpoint: Path, name: str, *options: str) -> List[str]:
        """The arguments that test a checkpoint in another way."""
        command = ['tools/test.py', self.row.config, str(checkpoint), '--work-dir',
                   str(self.work_dir / name)]
        options = (*self.options, *options)
        return command + (['--cfg-options', *options] if options else [])

    def scores_of(self, name: str) -> Optional[Dict[str, float]]:
        """Return the scores of the last test of a name, None without one."""
        entries = [entry for path in sorted((self.folder / name).glob('*/*.json'))
                   for entry in camvid_log.read_json_lines(path) if TARGET in entry]
        return {key: float(entries[-1][key]) for key in self.keys} if entries else None
