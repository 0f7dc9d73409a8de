"""Real servers for tests and benches: each in a folder of its own, on a free loopback port, ended with its owner."""
