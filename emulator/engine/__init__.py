"""The engine: orchestrators, activities, entities, and the messages between them."""
