"""A stage process: `python -m stages.process.runner STAGE`, started by the daemon only.

STAGE is for people who look at a list of processes; what counts is the boot record on stdin. It is read, and stdin
made the null device, before anything else is imported (see `parent_watch.read_boot`).
"""

from ipc import parent_watch
from stages import offline


def main() -> None:
    offline.confine()
    parent_watch.ignore_interrupts()
    record = parent_watch.read_boot()
    from stages.process import worker

    worker.run(record)


if __name__ == "__main__":
    main()
