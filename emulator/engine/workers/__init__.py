"""What the language of an app changes in rows, histories and messages."""
