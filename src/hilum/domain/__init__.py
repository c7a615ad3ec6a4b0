"""What chest films are called, which numbers matter and how things fail: pure Python, imports nothing."""
