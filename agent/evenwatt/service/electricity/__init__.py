"""What electricity costs at a moment: the written tariff, and the feed."""
