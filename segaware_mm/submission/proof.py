"""Pack finished images, and prove the archive before it is uploaded."""

from typing import List, Sequence

from .images import TestImage
from .problem import Problem, SubmissionError
from .target import PathLike, Target

SHOWN = 20


def pack_and_prove(target: Target, tree: PathLike, images: Sequence[TestImage],
                   out: PathLike, name: str) -> None:
    """Write the archive, read it back and look for all that the server would refuse.

    Args:
        target: Where it is to be sent.
        tree: The staging tree.
        images: The test set.
        out: The archive.
        name: Of the submission.

    Raises:
        SubmissionError: It cannot be written, or has problems; these are listed.
    """
    target.pack(tree, images, out, name)
    problems = target.validate(out, images)
    if problems:
        raise SubmissionError(problem_report(out, problems))


def problem_report(out: PathLike, problems: Sequence[Problem]) -> str:
    """Return the problems of an archive as lines."""
    lines: List[str] = [f'{out} has {count_of(problems)}:', *map(str, problems[:SHOWN])]
    if len(problems) > SHOWN:
        lines.append(f'... and {len(problems) - SHOWN} more')
    return '\n  '.join(lines)


def count_of(problems: Sequence[Problem]) -> str:
    """Return '1 problem', '2 problems'."""
    return f'{len(problems)} problem{"s" if len(problems) != 1 else ""}'


def official_count(target: Target, images: Sequence[TestImage]) -> str:
    """Return a remark where these are not as many as the server's, or ''."""
    if target.count is None or len(images) == target.count:
        return ''
    return (f'these are {len(images)} images, the test set of {target.name} has '
            f'{target.count}: the server will not take this archive')
