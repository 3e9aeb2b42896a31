"""In place of `wernicke_daemon.web.openai.decode`: a decoder that does not end by itself."""

import threading

if __name__ == "__main__":
    threading.Event().wait()
