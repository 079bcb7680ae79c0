"""Checks of options: a value, its kind and range -> OptionError with the value found, the expected one and the remedy."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from numbers import Integral
from os import PathLike
from typing import Any, Literal, ParamSpec, TypeVar

from genoformer.errors import OptionError

Phases = Literal["one", "all"]
Strand = Literal["both", "forward"]  # average over both strands, or use only the forward strand
_P = ParamSpec("_P")
_R = TypeVar("_R")
_UNEXPECTED = re.compile(r"(?P<callee>\w+)(\.\w+)*\(\) got an unexpected keyword argument '(?P<option>\w+)'")


def check_choice(option: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise OptionError if a value is not one of the allowed ones.

    >>> check_choice("strand", "Both", ["both", "forward"])
    Traceback (most recent call last):
    genoformer.errors.OptionError: option strand is 'Both', expected both or forward; give one of them.
    """
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        *first, last = names
        expected = f"{', '.join(first)} or {last}" if first else last
        raise OptionError(option, f"is {value!r}, expected {expected}; give one of them.")


def check_number(option: str, value: Any, least: int, unit: str = "") -> None:
    """Raise OptionError if a value is neither None nor a whole number that is large enough; `unit` follows the number.

    >>> check_number("context", 0, 1, "bases")
    Traceback (most recent call last):
    genoformer.errors.OptionError: option context is 0, expected a whole number of bases, 1 or more; give one, or leave it out.
    """
    if value is not None and (not is_whole(value) or value < least):
        of_unit = f" of {unit}" if unit else ""
        expected = f"expected a whole number{of_unit}, {least} or more; give one, or leave it out."
        raise OptionError(option, f"is {value!r}, {expected}")


def check_kind(option: str, value: Any, kinds: type | tuple[type, ...], expected: str) -> None:
    """Raise OptionError if a value is neither None nor of one of the kinds; `expected` describes them.

    >>> check_kind("region", 5, str, "text such as 'chr1:1-200,000'")
    Traceback (most recent call last):
    genoformer.errors.OptionError: option region is 5, expected text such as 'chr1:1-200,000'; give this, or leave it out.
    """
    if value is not None and not isinstance(value, kinds):
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f"a {type(value).__name__}"
        raise OptionError(option, f"is {shown}, expected {expected}; give this, or leave it out.")


def check_flag(option: str, value: Any) -> None:
    """Raise OptionError if a value is not True or False."""
    if not isinstance(value, bool):
        raise OptionError(option, f"is {value!r}, expected True or False; give one of them.")


def whole_numbers(option: str, value: Any, example: str) -> tuple[int, ...]:
    """Return whole numbers from text with commas, or from a list of numbers.

    Raises OptionError for an empty text or list and for anything that is no whole number.

    >>> whole_numbers("shifts", "-1,0,1", "-1,0,1"), whole_numbers("shifts", [0, 64], "-1,0,1")
    ((-1, 0, 1), (0, 64))
    """
    texts = value.split(",") if isinstance(value, str) else value
    try:
        if isinstance(value, str):
            numbers = tuple(int(text) for text in texts)
        else:
            numbers = tuple(int(number) for number in texts if is_whole(number))
        if numbers and len(numbers) == len(texts):
            return numbers
    except (TypeError, ValueError):
        pass
    raise OptionError(option, f"is {value!r}, expected whole numbers; give numbers and commas, such as {example}.")


def check_tracks(option: str, value: Any) -> None:
    """Raise OptionError if a value is neither None, nor text, nor a list of track numbers.

    >>> check_tracks("tracks", [])
    Traceback (most recent call last):
    genoformer.errors.OptionError: option tracks is [], expected whole numbers; give numbers and commas, such as 0,5.
    """
    if value is None or (isinstance(value, str) and value.strip()):
        return
    if isinstance(value, str):
        raise OptionError(option, "is empty, expected numbers, names or patterns; give some, or leave it out for all tracks.")
    if any(number < 0 for number in whole_numbers(option, value, "0,5")):
        raise OptionError(option, f"is {value!r}, expected numbers from 0; give such numbers, or names as text.")


def check_names(option: str, value: Any, expected: str) -> None:
    """Raise OptionError if a value is neither None, nor text (or a path), nor a list of them; `expected` describes a text."""
    if value is None or isinstance(value, str | PathLike):
        return
    if not isinstance(value, list | tuple) or not all(isinstance(text, str | PathLike) for text in value):
        raise OptionError(option, f"is {value!r}, expected {expected}, as text or a list; give this, or leave it out.")


def with_strand(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with `strand` in place of `both_strands`, its older spelling; without `strand` if it is None.

    Raises OptionError if both are given.

    >>> with_strand({"both_strands": False, "layer": 2}), with_strand({"strand": None})
    ({'layer': 2, 'strand': 'forward'}, {})
    """
    named = {name: value for name, value in options.items() if name not in ("strand", "both_strands")}
    strand, both = options.get("strand"), options.get("both_strands")
    if both is not None:
        check_flag("both_strands", both)
        if strand is not None:
            raise OptionError("both_strands", f"is {both}, found strand {strand!r} as well; leave out both_strands.")
        strand = "both" if both else "forward"
    return named if strand is None else named | {"strand": strand}


def is_whole(value: Any) -> bool:
    """Return True for a whole number, also one of numpy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def names_unknown_options(name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator for the function genoformer.NAME: its TypeError for an unknown option names one of a similar name.

    Python's own message names the class that the options are passed on to, such as ScoreOptions, not what the user called.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*args: _P.args, **options: _P.kwargs) -> _R:
            try:
                return function(*args, **options)
            except TypeError as error:
                match = _UNEXPECTED.match(str(error))
                if match is None or match["option"] not in options:
                    raise
                known = _options_of(error, match["callee"]) | set(inspect.signature(function).parameters)
                text = _unknown_option(name, match["option"], known)
            raise TypeError(text)

        return call

    return decorate


def _options_of(error: TypeError, callee: str) -> set[str]:
    """Return the parameters of the class or function that refused an option, which the frame of the call knows."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return set()
    known = {**trace.tb_frame.f_globals, **trace.tb_frame.f_locals}.values()
    called = next((each for each in known if callable(each) and getattr(each, "__name__", "") == callee), None)
    return set(inspect.signature(called).parameters) if called is not None else set()


def _unknown_option(function: str, option: str, known: set[str]) -> str:
    near = get_close_matches(option, sorted(known - {"self", "cls", "options"}), n=1, cutoff=0.75)
    remedy = f"write {near[0]}" if near else f"help(genoformer.{function}) has its options"
    return f"genoformer.{function} has no option {option!r}; {remedy}."
