"""The web process: `python -m wernicke_daemon.web`, started by the daemon only. Its `Setup` comes on stdin."""

from ipc import parent_watch


def main() -> None:
    parent_watch.ignore_interrupts()
    record = parent_watch.read_boot()
    from wernicke_daemon.web import serving

    serving.run(record)


if __name__ == "__main__":
    main()
