"""What a session of PostgreSQL is set to, whatever the settings of the server, the database and the role are."""

VARIABLES = (
    # What is sent and told: values as text, names in catalogs, what a null is.
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO'",
    "SET IntervalStyle = 'postgres'",
    "SET standard_conforming_strings = on",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET array_nulls = on",
    "SET transform_null_equals = off",
    "SET quote_all_identifiers = off",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
    # A state is told when its rows outlive a crash; a server that waits for more than its own disk goes on doing so.
    """
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
    """,
    # Sessions and transactions wait while the tap is slow, and merges may be long; not every version has each of these.
    """
    SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name IN (
        'statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout'
    )
    """,
)
