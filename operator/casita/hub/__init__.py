"""JupyterHub's part: a spawner that gives each server a session of its own."""
