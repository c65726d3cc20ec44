"""/ws: what people are told, pushed to whoever watches."""
