"""Cells, packs and trucks as data files, each with its sources."""
