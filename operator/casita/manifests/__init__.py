"""Pure builders of a session's child objects: session and material in, plain objects out."""
