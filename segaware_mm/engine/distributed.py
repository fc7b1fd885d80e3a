"""A process group on the CPU.

mmengine's launcher sets a CUDA device before it opens the group, which fails
where there is none. It leaves a group alone that is open already.
"""

import datetime
import gc
from contextlib import contextmanager
from typing import Iterator

import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device


@contextmanager
def cpu_group(cfg: Config) -> Iterator[None]:
    """Open a gloo group for the block where the config wants one on the CPU.

    Args:
        cfg (Config): As left by :mod:`segaware_mm.engine.prepare`. The
            addresses come from the environment, as torchrun sets it.
    """
    wanted = cfg.get('launcher', 'none') != 'none' and get_device() == 'cpu'
    if not wanted or dist.is_initialized():
        yield
        return
    timeout = cfg.env_cfg.dist_cfg.get('timeout', 1800)
    dist.init_process_group('gloo', timeout=datetime.timedelta(seconds=timeout))
    try:
        yield
        # What holds the group (a wrapped model, in the cycles of a Runner) goes
        # before it, and all processes go together: else a thread of the group
        # may outlive it and abort the process at its end.
        gc.collect()
        dist.barrier()
    finally:
        dist.destroy_process_group()
