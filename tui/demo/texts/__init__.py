"""The raw material of the demo's mail, as TOML: people, languages, reasons, files and words."""
