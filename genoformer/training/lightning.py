"""Lightning's trainer for commands: quiet, with one-sentence errors, and with a Stopped error after a signal."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from genoformer.errors import ConfigError, Stopped


def make_trainer(**options: Any) -> L.Trainer:
    """Return Lightning's trainer; ConfigError for a device that does not exist."""
    try:
        return L.Trainer(**options)
    except MisconfigurationException as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"accelerator = {options['accelerator']!r}, devices = {options['devices']}: {reason}") from error


@contextmanager
def stopped() -> Iterator[None]:
    """Raise Stopped after a signal; Lightning itself exits with status 1 after Ctrl-C, and with 0 after SIGTERM."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException as error:
        raise Stopped(signal.SIGTERM) from error
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise Stopped(signal.SIGINT) from error
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)  # Lightning leaves the signal ignored


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's own messages; errors and our own progress remain."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    deterministic: Any = torch.utils.deterministic
    fills = deterministic.fill_uninitialized_memory
    deterministic.fill_uninitialized_memory = False  # else NaN fills all new memory: up to a third of the time, for nothing
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    finally:
        deterministic.fill_uninitialized_memory = fills
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
