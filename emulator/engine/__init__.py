"""What makes instances live: orchestrators, activities, entities, and the messages between them."""
