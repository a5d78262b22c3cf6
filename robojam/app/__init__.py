"""What commands start: an engine from its options, a supervisor, a configuration file."""

__all__ = ["assemble", "config_template", "supervisor"]
