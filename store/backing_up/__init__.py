"""A backup of the store: a copy that is taken while others work on it, and verified."""
