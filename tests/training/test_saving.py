"""When the state of a run is saved, and how it is told to stop."""

from __future__ import annotations

import os
import signal

import pytest

from genoformer.training.saving import SaveClock, StopSignals


class Seconds:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_save_is_due_after_some_steps_or_a_minute() -> None:
    clock = SaveClock(100, seconds := Seconds())
    assert [step for step in (1, 99, 100, 101, 200) if clock.due(step)] == [100, 200]
    seconds.now = 59.9
    assert not clock.due(101)
    seconds.now = 60.0
    assert clock.due(101)
    seconds.now = 61.0
    clock.saved(60.0)  # it took a second: no other one in 20
    seconds.now = 80.9
    assert not clock.due(200)
    seconds.now = 81.0
    assert clock.due(200)


def test_saves_that_take_long_take_a_twentieth_of_the_time() -> None:
    """A save of 10 seconds: the next one is due 200 seconds later, whatever the steps say."""
    clock = SaveClock(1, seconds := Seconds())
    seconds.now = 10.0
    clock.saved(0.0)
    seconds.now = 209.9
    assert not clock.due(7)
    seconds.now = 210.0
    assert clock.due(7)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_a_second_one_acts(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda n, _: heard.append(n))
    signals = StopSignals()
    try:
        signals.listen()
        os.kill(os.getpid(), number)
        assert (signals.number, heard) == (number, [])
        assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)
        signals.release()
        os.kill(os.getpid(), number)
        assert heard == [number]
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals = StopSignals()
    try:
        signals.listen()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        signals.release()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
