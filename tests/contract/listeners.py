"""Where a process listens, read from /proc."""

from pathlib import Path


def listening(pid: int) -> set[str]:
    """Addresses on which a process listens, as `address:port`; IPv6 ones in raw hexadecimal."""
    sockets = {
        link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if _is_socket(link)
    }
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(_address(fields[1]))
    return found


def _is_socket(link: Path) -> bool:
    try:
        return link.readlink().name.startswith("socket:")
    except OSError:
        return False


def _address(local: str) -> str:
    address, port = local.split(":")
    if len(address) == 8:
        octets = [str(int(address[i : i + 2], 16)) for i in (6, 4, 2, 0)]
        address = ".".join(octets)
    return f"{address}:{int(port, 16)}"
