"""What happened, durably: the hash-chained journal, and the keys, switches and feedback kept beside it."""
