"""What to do about SQLSTATEs, and about words of logging in, that several servers have in common."""

from __future__ import annotations

from tailrace.sql.remedies import IN_ADDRESSES, Remedy

RIGHTS = (
    Remedy("42501", r"for schema (?P<name>.+)", "run `GRANT USAGE, CREATE ON SCHEMA {name} TO {user}`"),
    Remedy("42501", r"temporary tables in database", "run `GRANT TEMPORARY ON DATABASE {database} TO {user}`"),
    Remedy(
        "42501", r"for database (?P<name>.+)", "run `GRANT CREATE ON DATABASE {name} TO {user}`, or make the schema"
    ),
    Remedy("42501", r"for sequence (?P<name>.+)", "run `GRANT USAGE ON SEQUENCE {name} TO {user}`"),
    Remedy(
        "42501",
        r"for (table|view|relation|foreign table) (?P<name>.+)",
        "run `GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {user}`, with its schema before the name",
    ),
    Remedy(
        "42501",
        r"must be owner of \w+ (?P<name>.+)",
        "tailrace alters, replaces and drops what {user} owns: run `ALTER TABLE {name} OWNER TO {user}`, or alter it "
        "yourself and set `contract: freeze`",
    ),
    Remedy("42501", "row-level security", "let a policy of the table take the rows, or give {user} BYPASSRLS"),
    Remedy("42501", "", "give {user} the right to do that"),
)

TABLES = (
    Remedy(
        "2BP01",
        "",
        "drop what depends on it and make it anew afterwards, or load with `method: upsert` or `append`",
    ),
    Remedy("54011", "", "leave columns out (`select: false` under `columns:`), or keep objects whole (`nested: json`)"),
    Remedy(
        "54000",
        "index row",
        "an index doesn't hold the value: leave the column out of the key (`key_properties`), or drop the index",
    ),
    Remedy("54000|54001", "", "load less into a row: leave columns out (`select: false` under `columns:`)"),
    Remedy("42704|42601", r"\btype\b|syntax", "set another `sql_type` under `columns:`, or none"),
    Remedy("3F000", "", "set `schema` to one that is there, or make it"),
    Remedy("42P01|42703", "", "another program has changed or dropped it: run again"),
    Remedy("42P07", "", "another program has made it: run again, or set another `table:`"),
    Remedy(
        "0A000|42804|42846|42883|42P16|22023", "", "alter the column yourself, or set another kind under `columns:`"
    ),
    Remedy("42809", "copy to view", "set `append_through: staging`, or another `table:`"),
    Remedy("55000", "view", "set another `table:`, or load into the table that the view reads"),
    Remedy("23.*", "", "remove the rows that break it, or drop the constraint"),
    Remedy("57014", "statement timeout", "give {user} more time: `ALTER ROLE {user} SET statement_timeout = 0`"),
    Remedy("55P03", "", "another session holds the table: end it, or raise `lock_timeout_s`"),
    Remedy("53100", "", "free some space on the server's disk"),
    Remedy("25006", "", "connect to a server that takes writes: set `host`"),
    Remedy("53300", "", "end other sessions, or raise the server's max_connections"),
    Remedy("25P02|57P.*|08.*|40.*", "", "run again"),
)

_LOGIN = (
    Remedy(
        ".*",
        "password authentication failed|no password supplied|authentication",
        f"set `user` and `password`; {IN_ADDRESSES}",
    ),
    Remedy(".*", r'role "(?P<name>.+)" does not exist', "set `user`, or make the role {name}"),
    Remedy(".*", r'database "(?P<name>.+)" does not exist', "set `database`, or run `CREATE DATABASE {name}`"),
    Remedy(
        ".*", "no pg_hba.conf entry", "set `tls: require` if it asks for encryption, or let {user} in by pg_hba.conf"
    ),
    Remedy(".*", "resolve host|host name|Name or service not known|gaierror", "set `host` to the server's name"),
    Remedy(
        ".*",
        "(root|CA) certificate|certificate or crl|verify failed|does not match|self.signed|issuer",
        "set `tls_ca` to the file of the certificates that are trusted, `host` to the name in the server's, or `tls` "
        "to a mode that checks less",
    ),
    Remedy(".*", "private key|certificate file|certificate", "set `tls_cert` and `tls_key` to files that can be read"),
    Remedy(
        ".*", "not support SSL|refuses SSL", "set `tls: disable` where the way there is safe, or give the server TLS"
    ),
    Remedy(
        ".*", "refused|timeout|timed out|unreachable|No route|communication|closed|reset", "check `host` and `port`"
    ),
    Remedy(
        ".*", "starting up|shutting down|recovery|too many|remaining connection", "run again when it takes sessions"
    ),
)

OBJECTS = (*RIGHTS, *TABLES)
LOGIN = (*_LOGIN, Remedy(".*", "", "check `host`, `port`, `database`, `user` and `password`"))
