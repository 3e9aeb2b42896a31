"""Who goes when there are too many: a pure choice, for sessions that wait for their client and for connections.

Nobody is kept out because others take all there is: the newest comes in, and the oldest of the address that has most of
them goes. Whoever floods the daemon so ends their own. Clients at another address lose nothing.
"""

from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

Key = TypeVar("Key")


def oldest_of_busiest_address(addresses: Mapping[Key, str], most: int) -> Key | None:
    """Which of these is to go, None where they are not more than `most`. addresses: of each, oldest first."""
    if len(addresses) <= most:
        return None
    numbers = Counter(addresses.values())
    busiest = max(numbers, key=numbers.__getitem__)  # of equals the first: among many addresses, the oldest goes
    return next(key for key, address in addresses.items() if address == busiest)
