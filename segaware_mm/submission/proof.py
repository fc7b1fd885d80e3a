"""Pack finished images, and prove the archive before it is uploaded."""

from pathlib import Path
from typing import List, Sequence, Sized

from ..utils.files import PathLike, discard, replace_across
from .images import TestImage
from .problem import Problem, SubmissionError
from .target import Target, reason

SHOWN = 20


def pack_and_prove(target: Target, tree: PathLike, images: Sequence[TestImage],
                   out: PathLike, name: str) -> None:
    """Write the archive, read it back and look for all that the server would refuse.

    It gets its name when it is proved; until then an earlier archive keeps it.

    Args:
        target: Where it is to be sent.
        tree: The staging tree; the archive grows beside it.
        images: The test set.
        out: The archive.
        name: Of the submission.

    Raises:
        SubmissionError: It cannot be written, or has problems; these are listed.
    """
    draft = Path(tree).parent / 'archive' / Path(out).name
    try:
        target.pack(tree, images, draft, name)
        problems = target.validate(draft, images)
        if problems:
            raise SubmissionError(
                f'{problem_report(out, problems)}\n  It is not written. Finished images '
                f'lie in {tree}: delete the files of those that are named there, and run '
                'the same command again to predict them anew.')
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        replace_across(draft, out)
    except OSError as error:
        raise SubmissionError(f'{out} cannot be written: {reason(error)}. Finished '
                              'images are kept: run the same command again to go on.'
                              ) from error
    finally:
        discard(draft)


def problem_report(out: PathLike, problems: Sequence[Problem]) -> str:
    """Return the problems of an archive as lines."""
    lines: List[str] = [f'{out} has {count_of(problems)}:', *map(str, problems[:SHOWN])]
    if len(problems) > SHOWN:
        lines.append(f'... and {len(problems) - SHOWN} more')
    return '\n  '.join(lines)


def count_of(things: Sized, kind: str = 'problem') -> str:
    """Return '1 problem', '2 problems'."""
    return f'{len(things)} {kind}{"s" if len(things) != 1 else ""}'


def official_count(target: Target, images: Sequence[TestImage]) -> str:
    """Return a remark where these are not as many as the server's, or ''."""
    if target.count is None or len(images) == target.count:
        return ''
    number = count_of(images, 'image')
    return (f'this is a set of {number}, that of {target.name} has {target.count}: the '
            'server will not take this archive')
