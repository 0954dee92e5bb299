"""What is served: /metrics, health, and a page for people."""
