"""`argot demo`: two institutions train one model on their joined tables, and see what it cost and who learned what."""
