"""Clusters and the names that they had: the most seconds in common."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from wernicke_daemon.utterances.voices_naming import assigned


@st.composite
def shares(draw: st.DrawFn) -> list[list[float]]:
    rows, columns = draw(st.integers(1, 8)), draw(st.integers(0, 8))
    seconds = st.integers(0, 20).map(float)
    return [[draw(seconds) for _ in range(columns)] for _ in range(rows)]


@given(shares())
def test_no_other_assignment_has_more_in_common(shared: list[list[float]]) -> None:
    """As scipy finds it; nobody gets what another has, or what it has nothing of."""
    found = assigned(shared)
    taken = [column for column in found if column is not None]
    assert len(taken) == len(set(taken))
    assert all(row[column] > 0 for row, column in zip(shared, found, strict=True) if column is not None)
    matrix = np.array(shared).reshape(len(shared), -1)
    best = matrix[linear_sum_assignment(matrix, maximize=True)].sum()
    total = sum(row[column] for row, column in zip(shared, found, strict=True) if column is not None)
    assert total == best


def test_nothing_to_assign() -> None:
    assert assigned([]) == []
    assert assigned([[], []]) == [None, None]
