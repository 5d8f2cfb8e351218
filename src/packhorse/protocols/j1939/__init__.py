"""SAE J1939: the battery as a node on the truck's bus."""
