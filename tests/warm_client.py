"""What stands in Python's place: has a forked process do what Python would, and ends as that does.

    python -IS warm_client.py ADDRESS ARGUMENTS OF PYTHON...

The forked process gets this one's folder, environment and streams, is in its group, and gets every
signal that it gets; where this one is killed, that one is, too.
"""

import json
import os
import signal
import socket
import sys

HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(address: str, *arguments: str) -> int:
    if arguments[0] == "-c":  # reads from files that only an heir has open
        os.execv(sys.executable, [sys.executable, *arguments])
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        asked = {
            "arguments": arguments,
            "environment": dict(os.environ),
            "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes long to import
            "group": os.getpgrp(),
        }
        socket.send_fds(server, [b"\0"], [0, 1, 2])
        server.sendall(json.dumps(asked).encode() + b"\n")
        replies = server.makefile()
        process = int(replies.readline())
        for number in HANDED_ON:
            signal.signal(number, lambda received, _: os.kill(process, received))
        status = int(replies.readline())
    if status < 0:
        if -status in HANDED_ON:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
