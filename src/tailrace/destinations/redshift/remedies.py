"""What to do about what Redshift says, by its SQLSTATEs and its words."""

from __future__ import annotations

from tailrace.sql.remedies import Remedy
from tailrace.sql.sqlstates import OBJECTS

REDSHIFT = (
    *OBJECTS,
    Remedy(".*", "1023|1018|conflict with concurrent|Please reduce|InternalError|connection is lost", "run again"),
    Remedy(".*", "S3ServiceException|Access ?Denied|credentials", "let `iam_role`, or the keys, read the bucket"),
    Remedy(".*", "stl_load_errors|sys_load_error", "the table named there says which row, and why"),
)
