"""At home in other runners: Mage's flags and configs, and targets of the Singer SDK."""
