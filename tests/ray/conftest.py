"""These tests need the extra `ray`; where that is not installed they are left out of a run that does not ask for them,
and fail one that does."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.process.conftest import free_port
from tests.ray.nodes import Nodes


def asked(config: pytest.Config) -> bool:
    return bool(config.getoption("markexpr") == "ray")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if asked(config) else True


def pytest_configure(config: pytest.Config) -> None:
    if asked(config) and find_spec("ray") is None:
        raise pytest.UsageError('the tests of stages on Ray need it: pip install -e ".[ray,test]"')


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A cluster of three, for a module's tests."""
    with Nodes(3, free_port()) as made:
        yield made
