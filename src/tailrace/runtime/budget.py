"""The budget: how many bytes of records the process may hold before the reader waits."""

from __future__ import annotations

import threading


class Budget:
    """A count of bytes held, with a limit. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._held = 0
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    @property
    def is_spent(self) -> bool:
        """Whether the limit is reached."""
        return self._held >= self.max_bytes

    def change(self, size: int) -> None:
        """Count that many bytes more as held, or fewer when negative. Never waits."""
        with self._changed:
            self._held += size
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the limit isn't reached any more; False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.is_spent, timeout_s)
