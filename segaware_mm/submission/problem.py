"""What a validator finds: the file, what is wrong with it, and how to mend it."""

from typing import Iterable, List, NamedTuple

from ..engine.errors import DataError

#: More are counted, not listed.
LIMIT = 300


class SubmissionError(DataError, ValueError):
    """A submission that cannot be written or read; the text says how to mend it."""


class Problem(NamedTuple):
    """One thing that a server would refuse, or would score as errors.

    Attributes:
        file: The file of the archive, or the archive.
        what: What is wrong.
        mend: What to do.
    """

    file: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f'{self.file}: {self.what}; {self.mend}'


def listed(problems: Iterable[Problem], limit: int = LIMIT) -> List[Problem]:
    """Return problems sorted by file, each once; those beyond ``limit`` as a number.

    Args:
        problems: In any order.
        limit: How many are listed; one more says how many there are besides.
    """
    ordered = sorted(set(problems))
    if len(ordered) <= limit:
        return ordered
    more = Problem('...', f'{len(ordered) - limit} problems more',
                   'mend those listed, then validate again')
    return [*ordered[:limit], more]
