"""The command line: one command parses, calls one function, prints, and chooses the exit code."""
