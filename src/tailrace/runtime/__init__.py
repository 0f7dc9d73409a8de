"""The run: messages go in, batches are staged, checkpoints are committed, states are told."""
