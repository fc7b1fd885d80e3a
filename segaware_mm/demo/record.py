"""What the demo has trained: beside the checkpoint, as JSON.

It lets the second run see that nothing is left to do, and an interrupted one
that its checkpoints belong to the same settings.
"""

import hashlib
import json
import os
import os.path as osp
import shutil
from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional

from mmengine.config import Config

from ..engine.atomic import AtomicLocalBackend
from ..engine.errors import ConfigError
from ..version import __version__

NAME = 'demo.json'


@dataclass
class Record:
    """One training of the demo.

    Attributes:
        settings: Fingerprint of config and scenes.
        finished: Trained and validated.
        checkpoint: Path of the weights, '' before the end.
        miou: In percent, on the validation scenes.
        iterations: Number trained.
        planned: Number that the config asks for.
        seconds: Of the training, by the clock.
    """
    settings: str
    finished: bool = False
    checkpoint: str = ''
    miou: float = float('nan')
    iterations: int = 0
    planned: int = 0
    seconds: float = 0.

    @property
    def cut_short(self) -> bool:
        """Whether the time was up before the last iteration."""
        return self.finished and self.iterations < self.planned


def fingerprint(cfg: Config, scenes: Dict[str, Any]) -> str:
    """Return a text that is another where config or scenes are.

    Args:
        cfg: The config with its options merged.
        scenes: Arguments of the scenes.
    """
    text = json.dumps([__version__, cfg.pretty_text, scenes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(work_dir: str) -> Optional[Record]:
    """Return the record of a work dir; None where it has none that is whole."""
    try:
        with open(osp.join(work_dir, NAME)) as file:
            return Record(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def write(work_dir: str, record: Record) -> None:
    """Write the record, whole or not at all."""
    text = json.dumps(asdict(record), indent=2) + '\n'
    AtomicLocalBackend().put_text(text, osp.join(work_dir, NAME))


def clear(work_dir: str) -> None:
    """Remove a work dir that the demo has made.

    Raises:
        ConfigError: The folder holds other things.
    """
    if not osp.isdir(work_dir) or not os.listdir(work_dir):
        return
    if not osp.isfile(osp.join(work_dir, NAME)):
        raise ConfigError(
            f'{work_dir} was not made by the demo (it holds no {NAME}), so it is '
            'left alone. Name another folder: --work-dir DIR')
    shutil.rmtree(work_dir)
