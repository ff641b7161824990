"""What the demo's mail is made of, as TOML: people, languages, reasons, files and words."""
