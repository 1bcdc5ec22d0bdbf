"""Ray Data stages: Arrow rows in, Arrow rows out. One stage per file; `schema` and `records` hold what they
exchange."""
