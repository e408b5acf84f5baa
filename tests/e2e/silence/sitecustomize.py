"""For a program whose PYTHONPATH has this directory, the names of ``.silent.test`` are asked of a name server
that never answers: the one at the UDP port SILENT_PORT.
"""

import os
import socket
from typing import Any

_look_up = socket.getaddrinfo
# As long as the system's own look-ups try, in seconds.
PATIENCE = 20


def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
    if not str(host).endswith(".silent.test"):
        return _look_up(host, *rest, **more)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(PATIENCE)
        line.sendto(str(host).encode(), ("127.0.0.1", int(os.environ["SILENT_PORT"])))
        line.recv(512)
    raise AssertionError("the silent server has spoken")


socket.getaddrinfo = getaddrinfo
