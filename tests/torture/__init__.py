"""The torture: trials by the thousand against real processes, too long for every commit (`make torture`)."""
