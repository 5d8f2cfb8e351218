"""The simulated truck: true cells, heat, road, charger, sensors, faults. Never imports the BMS."""
