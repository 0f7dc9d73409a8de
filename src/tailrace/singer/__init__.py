"""The Singer wire: bytes to messages, and messages to bytes."""
