"""What registries exchange: tables, the kinds of rows that follow from them, names and versions."""
