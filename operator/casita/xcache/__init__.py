"""What runs in the cache's own container, beside XRootD: the standard library alone."""
