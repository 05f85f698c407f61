"""The domain: what a session should be, what is missing, and how it is told."""
