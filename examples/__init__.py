"""Programs to read; installed as symgraph.examples, so that ``symgraph demo`` runs the very file you see here."""
