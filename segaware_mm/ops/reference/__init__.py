"""The operators again, slow and obvious: what every fast path is tested against."""
