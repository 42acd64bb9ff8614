"""Where processes listen, read from the kernel's own tables."""

import os
import socket
import struct
from pathlib import Path

import psutil

LISTENS = "0A"
"""The kernel's number for a socket that waits for connections."""


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def listening(pids: list[int]) -> set[tuple[str, int]]:
    """Address and port of every TCP socket on which one of these processes waits for connections."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    return {place for table in ("tcp", "tcp6") for inode, place in _waiting(table) if inode in inodes}


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach it."""
    return address.startswith("127.") or address.startswith("::ffff:127.") or address == "::1"


def _sockets(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.append(os.readlink(link))
        except OSError:  # closed meanwhile, or the process is gone
            continue
    return [name.removeprefix("socket:[").removesuffix("]") for name in found if name.startswith("socket:[")]


def _waiting(table: str) -> list[tuple[str, tuple[str, int]]]:
    lines = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return [(line[9], _place(line[1])) for line in lines if line[3] == LISTENS]


def _place(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    packed = b"".join(struct.pack("=I", int(host[i : i + 8], 16)) for i in range(0, len(host), 8))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed), int(port, 16)
