"""What samplers are told that group batches themselves, and what they may refuse.

A sampler that yields one domain a batch has to know the batch size, which mmengine does
not pass on. Such samplers take ``batch_size`` and have ``check_training``.
"""

from typing import Any

from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import DataLoader

from .errors import ConfigError


def tell_batch_size(dataloader: Any) -> Any:
    """Return a data loader config whose sampler knows the batch size, if it asks.

    Args:
        dataloader: A config, which is not changed, or a built data loader.
    """
    sampler = dataloader.get('sampler') if isinstance(dataloader, dict) else None
    if not isinstance(sampler, dict) or 'batch_size' in sampler:
        return dataloader
    kind = sampler.get('type')
    kind = DATA_SAMPLERS.get(kind) if isinstance(kind, str) else kind
    if not hasattr(kind, 'check_training') or 'batch_size' not in dataloader:
        return dataloader
    dataloader = dict(dataloader)
    dataloader['sampler'] = dict(sampler, batch_size=dataloader['batch_size'])
    return dataloader


def check_sampler(loader: DataLoader, optim_wrapper: Any) -> None:
    """Let a sampler say whether it fits the training.

    Args:
        loader (DataLoader): Built.
        optim_wrapper: Config or built; how many forwards an update has.

    Raises:
        ConfigError: What the sampler's ``check_training`` says.
    """
    batches = loader.batch_sampler
    sampler = getattr(batches, 'sampler', loader.sampler)
    if not hasattr(sampler, 'check_training'):
        return
    if isinstance(optim_wrapper, dict):
        counts = optim_wrapper.get('accumulative_counts', 1)
    else:
        counts = getattr(optim_wrapper, '_accumulative_counts', 1)
    try:
        sampler.check_training(getattr(batches, 'batch_size', None), counts)
    except ValueError as error:
        raise ConfigError(str(error)) from error
