"""Near names, for messages that say what was perhaps meant."""

from difflib import get_close_matches
from typing import Iterable, List


def near_names(name: str, known: Iterable[str], cutoff: float = 0.6) -> List[str]:
    """Return up to three of ``known`` that resemble ``name``, nearest first.

    Args:
        name (str): What was found.
        known (iterable of str): What exists.
        cutoff (float): Similarity in [0, 1] from which a name counts as near.

    Returns:
        list[str]: The near names.
    """
    return get_close_matches(name, sorted(set(known)), n=3, cutoff=cutoff)


def did_you_mean(names: Iterable[str]) -> str:
    """Return ' Did you mean A, B?' to append to a message; '' for no names."""
    names = list(names)
    return f' Did you mean {", ".join(names)}?' if names else ''
