"""Options of the test suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what decode gives now into tests/golden/*/expected.jsonl; look at the difference before keeping it",
    )
