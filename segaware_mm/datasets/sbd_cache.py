"""What was read from thousands of small files, in one file for the next start."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Iterable, List, Optional

from ..utils.files import write_atomic

VERSION = 1


def fingerprint(paths: Iterable[str], settings: Any) -> str:
    """Return a key that changes with the files (names, sizes, dates) and settings.

    Args:
        paths: Files; absent ones count as such.
        settings: Anything that JSON can write.
    """
    digest = hashlib.sha256(json.dumps([VERSION, settings]).encode())
    for path in paths:
        try:
            state = os.stat(path)
            digest.update(f'{path} {state.st_size} {state.st_mtime_ns}\n'.encode())
        except OSError:
            digest.update(f'{path} absent\n'.encode())
    return digest.hexdigest()


def load_cache(path: str, key: str) -> Optional[List[dict]]:
    """Return what was saved under this key; None where it is absent or old."""
    try:
        content = json.loads(Path(path).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get('key') != key:
        return None
    return content.get('data_list')


def save_cache(path: str, key: str, data_list: List[dict]) -> None:
    """Write the file, whole or not at all."""
    write_atomic(path, json.dumps(dict(key=key, data_list=data_list)).encode())
