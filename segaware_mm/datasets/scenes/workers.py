"""The same call for many tasks, in this process or in several.

Why not a pool of the standard library: a pool's processes wait for ever when
their parent is killed. These stop within one task, so a rerun never meets
writers of the run before.
"""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Iterator, Sequence

import cv2

Task = Any


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_tasks(function: Callable[[Task], None], tasks: Sequence[Task],
              workers: int) -> Iterator[Task]:
    """Call ``function`` on every task; yield each task once it is done.

    Args:
        function: Does one task. Tasks must not depend on each other.
        tasks: What to do.
        workers: Number of processes; 1 works in this process.

    Raises:
        Exception: What the function raised, from whichever process.
        RuntimeError: If a process was killed.
    """
    workers = min(workers, len(tasks))
    threads = cv2.getNumThreads()
    # the pictures are small, threads only cost; and OpenCV's threads do not
    # outlive a fork, so the children must find them switched off
    cv2.setNumThreads(1)
    try:
        if workers > 1:
            yield from _run_processes(function, tasks, workers)
        else:
            for task in tasks:
                function(task)
                yield task
    finally:
        cv2.setNumThreads(threads)


def _run_processes(function: Callable[[Task], None], tasks: Sequence[Task],
                   workers: int) -> Iterator[Task]:
    # fork shares what is imported already; spawn would import it all again
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context(
        'fork' if 'fork' in methods else 'spawn')
    children, pipes = [], {}
    try:
        for number in range(workers):
            receiver, sender = context.Pipe(duplex=False)
            child = context.Process(
                target=_work,
                args=(function, tasks[number::workers], sender, os.getpid()),
                daemon=True)
            child.start()
            sender.close()  # else the end of the child would go unnoticed
            children.append(child)
            pipes[receiver] = child
        while pipes:
            for receiver in wait(list(pipes)):
                try:
                    task, error = receiver.recv()
                except EOFError:
                    _expect_clean_end(pipes.pop(receiver))
                    continue
                if error is not None:
                    raise error
                yield task
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.join()


def _work(function: Callable[[Task], None], tasks: Sequence[Task],
          sender: Connection, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)
    for task in tasks:
        if os.getppid() != parent:
            return
        try:
            function(task)
        except Exception as error:
            sender.send((task, error))
            return
        sender.send((task, None))


def _expect_clean_end(child: multiprocessing.Process) -> None:
    child.join()
    if child.exitcode != 0:
        raise RuntimeError(
            f'a worker process ended with code {child.exitcode} (-9: killed, '
            'often for lack of memory). Finished scenes are kept: run the '
            'same command again, perhaps with fewer --workers.')
