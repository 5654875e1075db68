"""What the statements of a file are, as far as transactions are concerned. Pure: text in, decisions out."""
