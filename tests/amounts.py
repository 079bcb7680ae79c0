"""Number of examples: all in `make test-long` and `make fuzz`, a part of them in `make test`, which has eight minutes."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

FULL = "GENOFORMER_FULL" in os.environ


def examples(n: int, **options: Any) -> settings:
    """Settings of a property test with n examples; in `make test` 2 in 5 of them."""
    whole = FULL or os.environ.get("HYPOTHESIS_PROFILE") == "search"
    return settings(max_examples=n if whole else 2 * n // 5, **options)
