"""segaware_mm: four published ideas as parts for mmsegmentation and mmdetection.

Importing the package registers every part that can work in this environment.
A part whose toolbox is missing is left out; ``python -m segaware_mm.doctor``
says which, why, and how to mend it.
"""

from .registration import import_failures, list_modules, register_all
from .utils.stack import prepare_stack
from .version import __version__

prepare_stack()
register_all()

__all__ = ['__version__', 'import_failures', 'list_modules', 'register_all']
