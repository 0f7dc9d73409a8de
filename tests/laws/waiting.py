"""Waiting for what a process says."""


def wait_for(lines, text: str) -> None:
    """Read lines until one has the text."""
    read = []
    while text.encode() not in (line := lines.readline()):
        read.append(line)
        assert line, b"".join(read).decode()
