"""What to do about what MySQL and MariaDB say, by their numbers."""

from __future__ import annotations

from tailrace.sql.remedies import IN_ADDRESSES, Remedy

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
    Remedy(
        "1045|1698|1862|3118|4151",
        "",
        f"set `user` and `password`, or let the user in from this machine; {IN_ADDRESSES}",
    ),
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
