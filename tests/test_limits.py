"""Every test has a time limit, and the longest begin."""

from __future__ import annotations

import pytest

from tests.conftest import LIMIT


def test_the_limits_are_kept(request: pytest.FixtureRequest) -> None:
    assert request.config.pluginmanager.hasplugin("timeout"), "install pytest-timeout: `make` does"


def test_a_test_without_a_mark_has_the_usual_one(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("timeout").args == (LIMIT,)


@pytest.mark.timeout(LIMIT + 1)
def test_a_mark_of_its_own_goes_before(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("timeout").args == (LIMIT + 1,)
    limits = [item.get_closest_marker("timeout").args[0] for item in request.session.items]
    assert limits == sorted(limits, reverse=True)
