"""A model learns: losses, schedules, the loop, checkpoints, prediction."""
