"""One module per dashboard: which questions it answers, and with which queries."""
