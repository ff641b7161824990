"""The daemon beside an MTA: configuration, listeners, policy, operation."""
