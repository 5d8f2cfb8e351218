"""From decisions to commands: contactors, limits, balancing, heat, charging."""
