; memory that no predicate asks for
.memo_cells 8000001
