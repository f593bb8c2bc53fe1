; no row of the table has this number
.fields
  f0: a
  f1: b = #65535(f0)
