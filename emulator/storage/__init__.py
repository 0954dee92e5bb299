"""The instance table: rows, their histories, and the pages that queries get of them."""
