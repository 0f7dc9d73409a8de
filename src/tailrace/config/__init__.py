"""Configuration: what there is to set (settings), where it comes from (sources), others' names for it (aliases)."""

from tailrace.config.settings import ColumnSettings, ParallelSettings, Settings, StreamSettings

__all__ = ["ColumnSettings", "ParallelSettings", "Settings", "StreamSettings"]
