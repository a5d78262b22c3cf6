"""Operating system services: child processes, queues between threads, priority, files."""

__all__ = ["atomic_file", "call_queue", "child_process", "install", "log_queue", "priority"]
