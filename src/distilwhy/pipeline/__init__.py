"""An experiment as stages that exchange files."""
