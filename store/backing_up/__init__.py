"""Back up a store while others work on it, and verify the backup."""
