"""Which cluster of a session's speech has which of the names given before: the most seconds in common. Pure.

The Hungarian method (Kuhn 1955, in the form with potentials and shortest augmenting paths), for a dozen of clusters.
`scipy.optimize` has it, too, and would cost the front process 47 MB and its start a second.
"""

from collections.abc import Sequence

INFINITY = float("inf")


def assigned(shared: Sequence[Sequence[float]]) -> list[int | None]:
    """For each row its column, None where it has none: each column once, the sum of what they share as large as can be.

    shared: [rows][columns], not negative. Where a row and a column share nothing, they are not each other's.
    """
    columns = len(shared[0]) if shared else 0
    # Enough empty columns that each row may go without.
    cost = [[-value for value in row] + [0.0] * len(shared) for row in shared]
    found = _cheapest(cost)
    return [column if column < columns and row[column] > 0 else None for row, column in zip(shared, found, strict=True)]


def _cheapest(cost: list[list[float]]) -> list[int]:
    """For each row the column, each once; no fewer columns than rows. Numbers count from 1 within: 0 is no row."""
    rows, columns = len(cost), len(cost[0]) if cost else 0
    of_row, of_column = [0.0] * (rows + 1), [0.0] * (columns + 1)  # potentials
    holder = [0] * (columns + 1)  # the row of each column
    for row in range(1, rows + 1):
        _augment(row, cost, of_row, of_column, holder)
    chosen = {holder[column]: column for column in range(1, columns + 1) if holder[column]}
    return [chosen[row] - 1 for row in range(1, rows + 1)]


def _augment(row: int, cost: list[list[float]], of_row: list[float], of_column: list[float], holder: list[int]) -> None:
    """Give one more row a column, by the shortest path of exchanges."""
    columns = len(holder) - 1
    least, before, seen = [INFINITY] * (columns + 1), [0] * (columns + 1), [False] * (columns + 1)
    holder[0], at = row, 0
    while True:
        seen[at] = True
        current, step, following = holder[at], INFINITY, 0
        for column in range(1, columns + 1):
            if seen[column]:
                continue
            reduced = cost[current - 1][column - 1] - of_row[current] - of_column[column]
            if reduced < least[column]:
                least[column], before[column] = reduced, at
            if least[column] < step:
                step, following = least[column], column
        for column in range(columns + 1):
            if seen[column]:
                of_row[holder[column]] += step
                of_column[column] -= step
            else:
                least[column] -= step
        at = following
        if holder[at] == 0:
            break
    while at:
        holder[at] = holder[before[at]]
        at = before[at]
