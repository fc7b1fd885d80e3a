"""The folder in which a submission grows: finished images, and whose they are.

    files/         the staging tree of the target
    archive/       an archive that is not proved yet
    run.json       target, model and settings of the run, beside the tree
    images.jsonl   the images of the test set
    sources.jsonl  checksums of the image files that finished images were predicted of
    todo.jsonl     those that the last run began with
    classes.txt    the classes of the model
    .lock          held by the run that works here
    ...            logs

A run goes on in the folder of a killed one only where all that decides predictions is the
same: images of two models in one archive would be a score that no model has.
"""

import hashlib
import json
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence

from ..utils.files import PathLike, remove_parts, write_atomic
from ..utils.progress import progress_bar
from .images import TestImage, save_images
from .problem import SubmissionError
from .target import reason

#: What a run is known by, and what it is called in messages.
KEYS = {'target': 'target', 'checkpoint_hash': 'checkpoint',
        'settings': 'settings of the model or of its test',
        'classes': 'classes'}


class WorkFolder:
    """Paths in the folder of a submission, and the record of its run.

    Attributes:
        path (Path): The folder.
        tree (Path): The staging tree.
        record (Path): What says whose the finished images are.
        images, todo (Path): Lists of images.
        sources (Path): Which files were predicted.
        classes (Path): Names of classes.
        lock (Path): What :meth:`hold` holds.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.tree = self.path / 'files'
        self.record = self.path / 'run.json'
        self.images = self.path / 'images.jsonl'
        self.todo = self.path / 'todo.jsonl'
        self.sources = self.path / 'sources.jsonl'
        self.classes = self.path / 'classes.txt'
        self.lock = self.path / '.lock'

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let no other process work here; the system ends that with the process.

        Raises:
            SubmissionError: Another process does, or the folder cannot be written.
        """
        try:
            import fcntl
        except ImportError:  # no such locks on this system
            yield
            return
        with self._told():
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self.lock, 'w')
        with file:
            try:
                # Not flock: loader processes that outlive a killed run would hold it.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise SubmissionError(
                    f'another process works in {self.path}. Wait for it, or give '
                    'another folder (--work-dir).') from None
            except OSError:  # a file system without locks
                pass
            yield

    def claim(self, run: Dict[str, Any]) -> None:
        """Begin a run in the folder, or go on with the same one.

        Args:
            run: Of :data:`KEYS`; what else it has is for readers of the file.

        Raises:
            SubmissionError: The folder has images of another run; says in what it
                differs, and how to mend it.
        """
        if self.tree.is_dir() and any(self.tree.iterdir()):
            self._check_same(run)
        remove_parts(self.tree, deep=True)
        with self._told():
            write_atomic(self.record, json.dumps(run, indent=1).encode('utf-8'))

    def _check_same(self, run: Dict[str, Any]) -> None:
        """Raise unless the images in the folder are of the same run."""
        known = self._known()
        if not known:
            raise SubmissionError(
                f'{self.tree} has files, and no {self.record.name} beside it says of '
                'which model. Give another folder (--work-dir), or delete this one.')
        differ = [name for key, name in KEYS.items() if known.get(key) != run[key]]
        if differ:
            other = ', '.join(f'another {one}' for one in differ)
            raise SubmissionError(
                f'{self.path} has images of another run: {other}. It was begun '
                f'with {known.get("config")} and {known.get("checkpoint")} for '
                f'{known.get("target")}. Go on with these, or give another folder '
                '(--work-dir), or delete this one.')

    def note(self, images: Sequence[TestImage], todo: Sequence[TestImage],
             classes: Sequence[str]) -> None:
        """Write the lists of images and classes; in a config they would be long.

        Raises:
            SubmissionError: They cannot be written.
        """
        with self._told():
            save_images(self.images, images)
            save_images(self.todo, todo)
            write_atomic(self.classes, '\n'.join(classes).encode('utf-8'))

    def sign(self, image: TestImage) -> None:
        """Note which file was predicted, when its prediction is written.

        Raises:
            SubmissionError: That cannot be written.
        """
        with self._told(), self.sources.open('a', encoding='utf-8') as file:
            file.write(f'{json.dumps([image.name, file_checksum(image.path)])}\n')

    def left(self, images: Sequence[TestImage],
             is_done: Callable[[PathLike, TestImage], bool]) -> List[TestImage]:
        """Return the images that are to be predicted, those whose file changed too.

        Raises:
            SubmissionError: An image cannot be read.
        """
        known = self._signed()
        done = {one.name for one in images if one.name in known and
                is_done(self.tree, one)}
        with progress_bar(total=len(done), unit='image', desc='compare files') as bar:
            for one in images:
                if one.name in done:
                    if file_checksum(one.path) != known[one.name]:
                        done.remove(one.name)
                    bar.update()
        return [one for one in images if one.name not in done]

    def _signed(self) -> Dict[str, int]:
        """Return {image: checksum of its file}."""
        known = {}
        try:
            lines = self.sources.read_text(encoding='utf-8').splitlines()
        except FileNotFoundError:
            return known
        for line in lines:
            with suppress(ValueError, TypeError):  # the last one of a killed run
                name, checksum = json.loads(line)
                known[name] = checksum
        return known

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SubmissionError(f'{self.path} cannot be written: {reason(error)}. Mend '
                                  'that, or name another folder with --work-dir.'
                                  ) from error

    def _known(self) -> Dict[str, Any]:
        """Return the record; {} where there is none."""
        try:
            known = json.loads(self.record.read_text(encoding='utf-8'))
            return known if isinstance(known, dict) else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SubmissionError(
                f'{self.record} cannot be read: {error}. It says of which model the '
                'finished images are. Give another folder (--work-dir), or delete '
                f'{self.path}.') from error


def file_checksum(path: PathLike) -> int:
    """Return the CRC-32 of a file's content: enough for what changed by accident.

    Raises:
        SubmissionError: It cannot be read.
    """
    checksum = 0
    try:
        with open(path, 'rb') as file:
            for block in iter(lambda: file.read(1 << 20), b''):
                checksum = zlib.crc32(block, checksum)
    except OSError as error:
        raise SubmissionError(f'the image {path} cannot be read: {reason(error)}. See to '
                              'the file.') from error
    return checksum


def file_hash(path: PathLike) -> str:
    """Return the SHA-256 of a file's content: it may be moved or copied."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def settings_hash(*parts: Any) -> str:
    """Return the SHA-256 of settings of a config."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode('utf-8')).hexdigest()
