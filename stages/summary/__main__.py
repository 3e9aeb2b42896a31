"""The process that makes one summary: `python -m stages.summary`, with its `Work` on stdin.

Asked for by the web process or a command, never by the front: it may be killed at any time, which closes its request,
and so ends the model's work on it.
"""

import sys

import msgspec

from ipc import parent_watch
from stages import offline


def main() -> None:
    offline.confine()
    parent_watch.ignore_interrupts()
    record = parent_watch.read_boot()
    from ipc.summary import Message, Work
    from stages.process import logs
    from stages.summary import run

    work = msgspec.json.decode(record, type=Work)
    parent_watch.watch_parent(work.parent_pid, None)
    logs.configure("summary", 0, 0)

    def tell(message: Message) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()

    run.run(work, tell)


if __name__ == "__main__":
    main()
