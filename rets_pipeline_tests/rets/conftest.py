from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from rets_pipeline.rets import Session

from .scripted_server import PASSWORD, USERNAME, ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    """The seconds that sessions would have waited."""
    return []


@pytest.fixture
def open_session(server: ScriptedServer, waits: list[float]) -> Iterator[Callable[..., Session]]:
    with ExitStack() as stack:

        def opened(url: str | None = None, **settings: Any) -> Session:
            values: dict[str, Any] = {
                "user_agent": "tests/1.0",
                "timeout": (60, 60),
                "sleep": waits.append,
                "username": USERNAME,
                "password": PASSWORD,
            }
            session = Session(url or server.login_url, **values | settings)
            return stack.enter_context(session)

        yield opened


@pytest.fixture
def session(open_session: Callable[..., Session]) -> Session:
    return open_session()
