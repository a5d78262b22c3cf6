"""What the commands start, put together: engine, supervisor, configuration template."""
