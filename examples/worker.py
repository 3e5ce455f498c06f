"""A worker that counts in redis: one INCR every 200 ms, until redis is gone.

It does nothing to survive: it exits with 1 when redis does not answer, and the
supervisor starts it again. It speaks RESP over a socket and needs nothing but
the standard library.
"""

import os
import socket
import sys
import time

HOST = os.environ.get("REDIS_HOST", "127.0.0.1")
PORT = int(os.environ.get("REDIS_PORT", "6390"))
COUNTER = os.environ.get("COUNTER", "selfware:example")
PAUSE = 0.2  # seconds between two counts
TIMEOUT = 2.0  # seconds that redis may take to answer


def encode(*words):
    """One command in RESP: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def answer(stream):
    """The integer that redis answers; raises ConnectionError for all else."""
    line = stream.readline()
    if not line.startswith(b":"):
        raise ConnectionError("redis answered %r" % line)
    return int(line[1:])


def count():
    with socket.create_connection((HOST, PORT), timeout=TIMEOUT) as conn:
        stream = conn.makefile("rb")
        while True:
            conn.sendall(encode("INCR", COUNTER))
            value = answer(stream)
            if value % 25 == 1:
                print("counted to %d" % value)
            time.sleep(PAUSE)


def main():
    try:
        count()
    except OSError as err:
        print("cannot reach redis at %s:%d: %s" % (HOST, PORT, err), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
