"""The options of a jam: their table, the command line and TOML file, network addresses."""
