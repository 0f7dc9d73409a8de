"""What the first user of a MySQL or MariaDB server does there, through the server's socket."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mysql.connector import connect


def run_as_root(socket: Path, *statements: str) -> None:
    """Run the statements, one after another."""
    login = {"unix_socket": str(socket), "user": "root", "ssl_disabled": True}
    with closing(connect(**login, use_pure=True)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
