"""What tests of validators ask of a problem."""

import re
from typing import Any, Sequence


def check_told(problems: Sequence[Any], file: str, what: str, mend: str) -> None:
    """One problem names the file, and says what is wrong and how to mend it.

    Args:
        problems: Of a validator.
        file: The name.
        what, mend: Patterns.
    """
    shown = '\n'.join(map(str, problems))
    assert [one for one in problems
            if one.file == file and re.search(what, one.what)
            and re.search(mend, one.mend)], f'wanted {file}: {what}; {mend}\n{shown}'
