"""What sessions and the site hold as secrets: pure functions, inputs in, material out."""
