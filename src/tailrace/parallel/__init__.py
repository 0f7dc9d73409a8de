"""Many inputs at once: workers read, decode and stage whole files, and the driver alone commits, in order."""
