"""A progress bar with the time that is left, on a screen and in a file."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(**kwargs: Any) -> tqdm:
    """Return a bar that rewrites its line, or in a file adds one now and then."""
    on_screen = sys.stderr.isatty()
    return tqdm(mininterval=0.2 if on_screen else 15., dynamic_ncols=on_screen,
                **kwargs)
