"""Language models behind one interface: a local echo and two HTTP dialects."""
