"""The storage providers: how each pages, orders and shows what a hub holds (reference 6)."""
