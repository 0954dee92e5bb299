"""The API over HTTP: from request to answer."""
