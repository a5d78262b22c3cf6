"""Assembly of a jam from its options, its supervisor, and the configuration file."""

__all__ = ["assemble", "config_template", "supervisor"]
