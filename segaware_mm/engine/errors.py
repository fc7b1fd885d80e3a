"""Errors that the user can mend, and how the tools find their text.

The tools print a :class:`UserError` as one message without a traceback and
end with exit code 2. Everything else keeps its traceback: it is a defect, or
something this project knows nothing useful to say about.
"""

from typing import Optional


class UserError(Exception):
    """Something the user can mend; the text says how."""


class ConfigError(UserError):
    """The config, or an option on the command line."""


class DataError(UserError):
    """A dataset, an image or a label."""


class LabelError(DataError):
    """Label values that do not fit the classes of the model."""


class CheckpointError(UserError):
    """A file of weights."""


def message_of(error: BaseException) -> Optional[str]:
    """Return the text for the user, or None where ``error`` is of another kind.

    An error raised in a dataloader worker arrives as the same class, but its
    text is the whole traceback of the worker; the message is its tail.

    Args:
        error (BaseException): What was caught.

    Returns:
        str or None: The message as it was first raised.
    """
    if not isinstance(error, UserError):
        return None
    kind = type(error)
    return str(error).rpartition(f'{kind.__module__}.{kind.__qualname__}: ')[2].strip()
