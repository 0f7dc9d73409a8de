"""What to do about what a database says: by its code and its words, for each server, as data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UNKNOWN = "`--log-level debug` shows the statement"


@dataclass(frozen=True, slots=True)
class Remedy:
    """A sentence for errors whose code and words match.

    `do` may have names in braces, which come quoted: groups of `said`, and what is known besides (`{user}`,
    `{database}`).
    """

    code: str
    said: str
    do: str


def advised(words: str, code: object, remedies: Sequence[Remedy], quote: str = '"', **known: object) -> str:
    """The words of a database, and behind them what to do."""
    for remedy in remedies:
        match = re.search(remedy.said, words, re.IGNORECASE | re.DOTALL)
        if match and re.fullmatch(remedy.code, str(code or "")):
            groups = {name: quoted(text or "", quote) for name, text in match.groupdict().items()}
            names = {name: quoted(str(value), quote) for name, value in known.items()}
            return f"{words.rstrip('. ')}; {remedy.do.format_map(names | groups)}"
    return f"{words.rstrip('. ')}; {_UNKNOWN}"


def quoted(name: str, quote: str = '"') -> str:
    """The name as an identifier of SQL."""
    return quote + name.replace(quote, quote * 2) + quote


_RIGHTS = (
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

_TABLES = (
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
    Remedy(".*", "password authentication failed|no password supplied|authentication", "set `user` and `password`"),
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

POSTGRES = (*_RIGHTS, *_TABLES)
POSTGRES_LOGIN = (*_LOGIN, Remedy(".*", "", "check `host`, `port`, `database`, `user` and `password`"))

REDSHIFT = (
    *_RIGHTS,
    *_TABLES,
    Remedy(".*", "1023|1018|conflict with concurrent|Please reduce|InternalError|connection is lost", "run again"),
    Remedy(".*", "S3ServiceException|Access ?Denied|credentials", "let `iam_role`, or the keys, read the bucket"),
    Remedy(".*", "stl_load_errors|sys_load_error", "the table named there says which row, and why"),
)
REDSHIFT_LOGIN = POSTGRES_LOGIN

_MYSQL_USER = r"user (?P<user>'[^']*'@'[^']*')"

MYSQL = (
    Remedy("1044", f"{_MYSQL_USER} to database '(?P<name>.*)'", "run `GRANT ALL ON {name}.* TO` that user"),
    Remedy(
        "1142|1143",
        "command denied to user",
        "run `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX ON {database}.* TO` that user",
    ),
    Remedy("1227", r"\((?P<right>[^)]*)\) privilege", "grant that privilege to {user}"),
    Remedy("1370|1410|1356", "", "grant {user} the right to do that"),
    Remedy("1045|1698|1862|3118|4151", "", "set `user` and `password`, or let the user in from this machine"),
    Remedy("1049", "", "set `database`, or run `CREATE DATABASE`"),
    Remedy(".*", "Certificate/Key", "set `tls_cert` and `tls_key` to a certificate and its key, in PEM format"),
    Remedy(
        ".*",
        "certificate|verify failed",
        "set `tls_ca` to the file of the certificates that are trusted, `host` to the name in the server's, or `tls` "
        "to a mode that checks less",
    ),
    Remedy("2026", "needs TLS", "set `tls: require`, and give the server TLS where it has none"),
    Remedy("2026", "offers no TLS|support", "give the server TLS, or set `tls: prefer` where the way there is safe"),
    Remedy("3159", "", "set `tls: require`"),
    Remedy("2055", "SSL|protocol|version", "give the server TLS 1.2 or later"),
    Remedy("2003|2005", "Errno -[25]|Unknown|not known", "set `host` to the server's name"),
    Remedy("2003|2002|2013|2055|2006|2012", "", "check `host` and `port`"),
    Remedy("2026", "", "check `tls`, `tls_ca`, `tls_cert` and `tls_key`"),
    Remedy(
        "1117|1118", "", "leave columns out (`select: false` under `columns:`), or keep objects whole (`nested: json`)"
    ),
    Remedy("1070|1071", "", "set `key_properties` to fewer or shorter fields, or another `sql_type` under `columns:`"),
    Remedy("1170", "", "drop the index and make it anew on a prefix, or set another kind under `columns:`"),
    Remedy("1059|1102|1103|1166|1300|3988", "", "give it a name that MySQL has: `table:`, or `name` under `columns:`"),
    Remedy("1063|1064|1074|1425|1426|1427|1439|4161", "", "set another `sql_type` under `columns:`, or none"),
    Remedy("1153|1301|2020", "", "raise max_allowed_packet of the server"),
    Remedy("1217|1451|1832|1833|1834|1846|3730|3780", "", "drop the foreign key and make it anew afterwards"),
    Remedy("1216|1452|1048|1062|3819|4025", "", "remove the rows that break it, or drop the constraint"),
    Remedy("1526", "", "add a partition that takes the rows"),
    Remedy("1288|1347|1348|1471", "", "set another `table:`, or load into the table that the view reads"),
    Remedy("1050", "", "set another `table:`, or drop what is there"),
    Remedy("1060", "", "the table has it as GENERATED: leave it out with `select: false` under `columns:`"),
    Remedy("1146|1051|1054", "", "another program has changed or dropped it: run again"),
    Remedy("1021|1114|1041|28", "", "free some space on the server's disk"),
    Remedy(
        "3750|1173",
        "",
        "the server wants a key for each table: set `key_properties` under `streams:`, or let it do without by "
        "`SET GLOBAL sql_require_primary_key = OFF` or `SET GLOBAL sql_generate_invisible_primary_key = ON` "
        "(MariaDB: innodb_force_primary_key = OFF)",
    ),
    Remedy("1205", "", "another session holds the table: end it, or raise `lock_timeout_s`"),
    Remedy("1290|1836", "", "connect to a server that takes writes: set `host`"),
    Remedy("1040|1203", "", "end other sessions, or raise the server's max_connections"),
    Remedy("1020|1053|1077|1079|1158|1159|1160|1161|1213|1317|1927|3101|4031", "", "run again"),
)

SQLITE = (
    Remedy(".*", "database or disk is full", "free some space on the disk"),
    Remedy(".*", "readonly|read-only|unable to open|permission", "let the file and its folder be written to"),
    Remedy(".*", "is locked|is busy", "end the program that writes, or raise `lock_timeout_s`"),
    Remedy(".*", "not a database|malformed|encrypted", "set `path` to a file of SQLite"),
    Remedy(".*", "is a view|no such function", "set another `table:` under `streams:`"),
    Remedy(".*", "too many columns|string or blob too big", "leave columns out (`select: false` under `columns:`)"),
    Remedy(".*", "already (exists|another)|there is already|reserved", "set another `table:` under `streams:`"),
    Remedy(".*", "constraint failed", "remove the rows that break it, or drop the constraint"),
    Remedy(".*", "syntax error|unrecognized token|near ", "set another `sql_type` under `columns:`, or none"),
    Remedy(".*", "no such (table|column)", "another program has changed or dropped it: run again"),
)

DUCKDB = (
    Remedy(".*", "lock on file", "end the process that has the file open"),
    Remedy(".*", "no space left|disk.*full|write.*fail", "free some space on the disk"),
    Remedy(".*", "permission|cannot open file|read-only|read only", "let the file and its folder be written to"),
    Remedy(".*", "not a valid DuckDB|newer version|storage version", "set `path` to a file of this version's"),
    Remedy(".*", "out of memory|failed to allocate|failed to pin", "raise `memory_limit`, or lower `threads`"),
    Remedy(
        ".*",
        "depends? on|depend on it|key table|constraint specified|generated column",
        "drop that and make it anew afterwards, or set `contract: freeze`",
    ),
    Remedy(".*", "already exists|system catalog", "set another `table:` or `schema:` under `streams:`"),
    Remedy(
        ".*",
        "type with name|Parser Error|syntax error|DECIMAL type|type parameters|precision for type",
        "set another `sql_type` under `columns:`, or none",
    ),
    Remedy(".*", "constraint", "remove the rows that break it, or drop the constraint"),
    Remedy(".*", "conflict", "run again"),
    Remedy(".*", "does not exist", "another program has changed or dropped it: run again"),
    Remedy(".*", "unrecognized configuration|configuration parameter", "set options under `config` by DuckDB's names"),
)
