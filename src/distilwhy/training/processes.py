"""Several processes that train one student together: what one does for all, what each does."""

from __future__ import annotations

import atexit
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from accelerate.utils import parse_flag_from_env
from torch import distributed
from torch.utils.data import Sampler

from distilwhy.errors import ConfigError, UserError
from distilwhy.ranks import rank, world_size
from distilwhy.training.batches import StepSampler

T = TypeVar("T")


def join(*, soft: bool, adapter: bool = False) -> None:
    """Have this process meet those that were started with it; nothing where it is alone.

    Args:
        soft: Whether the run has soft labels.
        adapter: Whether adapters are trained instead of all weights.

    Raises:
        ConfigError: When there are several processes and the run has soft labels, or adapters of
            weights that are spread over them.
    """
    if world_size() == 1:
        return
    if soft:
        raise ConfigError(
            "Soft labels are learnt by one process only, but several were started.",
            "Start it without torchrun or accelerate launch.",
        )
    if adapter:
        refuse_spread_adapters("Train all weights, or start it with torchrun.")
    if distributed.is_initialized():
        return
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    atexit.register(state.destroy_process_group)


def refuse_spread_adapters(remedy: str) -> None:
    """Refuse adapters where FSDP spreads weights over processes.

    Raises:
        ConfigError: With that remedy, when it does.
    """
    if world_size() > 1 and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        raise ConfigError(
            "Adapters cannot be merged into weights that FSDP spreads over processes.", remedy
        )


def agreed(make: Callable[[], T]) -> T:
    """Return what the first process makes, in all of them; so only it reads, measures or writes.

    Args:
        make: Called in the first process.

    Raises:
        UserError: In all processes, when the first one's call raises it.
    """
    if world_size() == 1:
        return make()
    made: list[Any] = [None, None]
    if rank() == 0:
        try:
            made[0] = make()
        except UserError as error:
            made[1] = error
    distributed.broadcast_object_list(made)
    if made[1] is not None:
        raise made[1]
    result: T = made[0]
    return result


def gathered(value: T) -> list[T]:
    """Return a value of each process, in all of them."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def own_seed(seed: int) -> int:
    """Return the seed of this process's dropout; the first process has the run's own."""
    number = rank()
    return random.Random(f"{seed} process {number}").getrandbits(32) if number else seed  # noqa: S311


class OwnPasses(Sampler[list[int]]):
    """Yields this process's share of each step's forward passes.

    Args:
        steps: All processes' passes; a step's are as many for each process.
    """

    def __init__(self, steps: StepSampler) -> None:
        self.steps = steps

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self.steps.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.steps) // world_size()

    def __iter__(self) -> Iterator[list[int]]:
        for number, rows in enumerate(self.steps):
            if number % world_size() == rank():
                yield rows
