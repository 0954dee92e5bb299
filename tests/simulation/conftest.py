"""One event loop for thousands of histories, and no log of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(scope="package")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return the loop in which everything runs."""
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.fixture(scope="package", autouse=True)
def _silence() -> Iterator[None]:
    """Thousands of histories write no logs."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
