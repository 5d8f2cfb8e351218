"""The words everybody speaks, and the catalogue of cells, packs and trucks."""
