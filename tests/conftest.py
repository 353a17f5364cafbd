"""Options of the test suite."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what decode gives now into tests/golden/*/expected.jsonl; look at the difference before keeping it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Without JIT, let stores into narrow columns wrap as machine code lets them: numpy refuses them otherwise."""
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        from pipeline.decode import arena

        whole = arena._output

        def wrapping(memory: NDArray[np.uint8]) -> arena.Output:
            output = whole(memory)
            return output._replace(**{name: getattr(output, name).view(_Wrapping) for name in _NARROW})

        arena._output = wrapping


_NARROW = ("rec32", "rec16", "rec8", "pt32", "pt16", "pt8")


class _Wrapping(np.ndarray[Any, Any]):
    """An array that takes the low bits of a number too large for it."""

    def __setitem__(self, at: Any, value: Any) -> None:
        super().__setitem__(at, np.asarray(value).astype(self.dtype))
