"""From decoded films to a checkpoint: loop, schedule, stopping, resume."""
