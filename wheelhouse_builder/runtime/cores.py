"""How many cores this process may use."""

import os


def cores() -> int:
    """As the scheduler says where it can be asked, else all that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
