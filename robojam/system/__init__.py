"""Operating system services: child processes, queues between threads, priority, files."""
