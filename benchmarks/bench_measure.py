"""Time and peak memory of one piece of work, measured in this process.

The peak is that of resident memory (VmHWM of /proc/self/status), reset just
before; call it in a fresh process, or memory that an earlier piece gave back
to the allocator alone hides what the next one takes.
"""

import ctypes
import gc
import statistics
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

MB = 1e6


class Clock:
    """Wall time of the named parts of one run.

    ``with clock('forward'): ...`` adds to ``clock.parts['forward']``, s.
    """

    def __init__(self) -> None:
        self.parts: Dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        spent = time.perf_counter() - start
        self.parts[name] = self.parts.get(name, 0.) + spent


def _status_bytes(key: str) -> int:
    """Return VmRSS or VmHWM of this process in bytes."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(key + ':'):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


class PeakMemory:
    """Peak of resident memory above that at :meth:`start`."""

    def __init__(self) -> None:
        self._base: Optional[int] = None

    def start(self) -> None:
        """Give free memory back to the system and reset the peak."""
        gc.collect()
        with suppress(OSError, AttributeError):  # glibc alone has it
            ctypes.CDLL('libc.so.6').malloc_trim(0)
        try:
            Path('/proc/self/clear_refs').write_text('5')
            self._base = _status_bytes('VmRSS')
        except (OSError, KeyError):
            self._base = None

    def stop(self) -> Optional[float]:
        """Return the peak in MB (10^6 bytes); None where Linux's /proc is not."""
        if self._base is None:
            return None
        return max(0, _status_bytes('VmHWM') - self._base) / MB


def measure(step: Callable[[Clock], None], budget: float,
            most: int) -> Dict[str, Any]:
    """Run ``step`` several times.

    The first run gives the peak memory and warms up; the others are timed, as
    many as fit into ``budget`` seconds, at least one and at most ``most``. A
    first run longer than the budget is the only one.

    Args:
        step: The work, given a :class:`Clock` to name its parts with.
        budget: Seconds for the timed runs together.
        most: Largest number of timed runs.

    Returns:
        ``total``, ``cpu`` (seconds of all threads) and ``parts.NAME``, each a
        dict of ``median``, ``min``, ``max``; ``runs``; ``peak_mb``.
    """
    memory = PeakMemory()
    memory.start()
    first = _run(step)
    peak = memory.stop()
    samples = [first]
    if first['total'] <= budget:
        count = max(1, min(most, int(budget / max(first['total'], 1e-9))))
        samples = [_run(step) for _ in range(count)]
    result: Dict[str, Any] = {
        name: spread([sample[name] for sample in samples])
        for name in samples[0]
    }
    result['runs'] = len(samples)
    result['peak_mb'] = peak
    return result


def _run(step: Callable[[Clock], None]) -> Dict[str, float]:
    """Return the seconds of one run, whole and in parts."""
    clock = Clock()
    start, cpu = time.perf_counter(), time.process_time()
    step(clock)
    found = {'total': time.perf_counter() - start,
             'cpu': time.process_time() - cpu}
    found.update((f'parts.{name}', spent) for name, spent in clock.parts.items())
    return found


def spread(values: List[float]) -> Dict[str, float]:
    """Return median, least and largest value."""
    return dict(median=statistics.median(values), min=min(values),
                max=max(values))
