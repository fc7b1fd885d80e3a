"""What a target of a submission is, and what all targets share.

An image's files are finished in a folder (the staging tree) as the model predicts; then
all are packed. A run that was killed goes on: what is done is not done again.
"""

import errno
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from ..utils.files import PathLike, write_atomic
from .images import TestImage
from .problem import Problem, SubmissionError


class Target(NamedTuple):
    """A leaderboard: functions from arrays to its archive.

    Attributes:
        name: 'cityscapes-pixel'.
        task: 'semantic' or 'instance', which predictions it takes
            (:mod:`segaware_mm.submission.predictions`).
        suffix: Of the archive, '.zip' or '.tgz'.
        count: Images of the official test set, None where it is not fixed.
        pattern: Names of its images (:mod:`segaware_mm.submission.images`).
        write: ``(folder, image, prediction, classes) -> None`` writes the files of an
            image; whole or not at all, and last the one that marks it as done.
        is_done: ``(folder, image) -> bool``.
        pack: ``(folder, images, out, name) -> None`` writes the archive, whole or not at
            all; refuses when an image is missing. ``name`` is that of the submission,
            where the server wants one.
        validate: ``(path, images=None) -> [Problem, ...]`` of an archive, or of a folder
            of the same tree. Without images the official number (and size) is wanted.
        check: ``(out, name) -> None`` raises SubmissionError where ``pack`` would refuse
            the archive's or the submission's name: asked before hours of prediction.
        class_ids: ``(classes) -> ids`` of the server, of the model's classes; raises
            SubmissionError where it does not know one: asked before, too.
    """

    name: str
    task: str
    suffix: str
    count: Optional[int]
    pattern: str
    write: Callable[[PathLike, TestImage, Any, Sequence[str]], None]
    is_done: Callable[[PathLike, TestImage], bool]
    pack: Callable[[PathLike, Sequence[TestImage], PathLike, str], None]
    validate: Callable[..., List[Problem]]
    check: Callable[[PathLike, str], None]
    class_ids: Callable[[Sequence[str]], List[int]]


def stage_file(path: PathLike, content: bytes, image: TestImage) -> None:
    """Write one file of an image into the staging tree, whole or not at all.

    Raises:
        SubmissionError: The disk is full, or cannot be written; says at which image.
    """
    try:
        write_atomic(path, content)
    except OSError as error:
        raise SubmissionError(
            f'stopped at the image {image.name}: {path} cannot be written: '
            f'{reason(error)}. Images that are finished are kept: run the same command '
            'again to go on.') from error


def require_done(folder: PathLike, images: Sequence[TestImage],
                 is_done: Callable[[PathLike, TestImage], bool]) -> None:
    """Raise unless every image is done.

    Raises:
        SubmissionError: No images, or images that are not done; names some.
    """
    if not images:
        raise SubmissionError('there are no images to pack.')
    absent = [one.name for one in images if not is_done(folder, one)]
    if absent:
        shown = ', '.join(absent[:3]) + (', ...' if len(absent) > 3 else '')
        raise SubmissionError(
            f'{len(absent)} of {len(images)} images have no prediction in {folder}: '
            f'{shown}. Nothing is packed. Run the same command again to predict them.')


def reason(error: OSError) -> str:
    """Return what an error of the file system says, and how to mend a full disk."""
    text = error.strerror or str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f'{text} (free some space)' if full else text
