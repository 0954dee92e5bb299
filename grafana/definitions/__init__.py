"""One module per dashboard: its questions and their queries."""
