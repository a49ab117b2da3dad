"""`argot bench`: one operation, one JSON object; `benchmarks/run.py` makes the tables of ratios from them."""
